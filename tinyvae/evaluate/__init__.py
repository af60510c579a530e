"""How good a trained model is, and what it is good for. The functions are handed a model and import none."""

from tinyvae.evaluate.annealed import Annealed, Sandwich, annealed, sandwich
from tinyvae.evaluate.bound import Bound, bound, require_latents
from tinyvae.evaluate.imputation import impute
from tinyvae.evaluate.inference import Gaps, gaps, refine
from tinyvae.evaluate.latent_space import interpolate, manifold, traverse
from tinyvae.evaluate.log_likelihood import LogLikelihood, log_likelihood
from tinyvae.evaluate.neighbours import nearest

__all__ = [
    "Annealed", "Bound", "Gaps", "LogLikelihood", "Sandwich", "annealed", "bound", "gaps", "impute", "interpolate",
    "log_likelihood", "manifold", "nearest", "refine", "require_latents", "sandwich", "traverse",
]  # fmt: skip
