"""How good a trained model is, and what it is good for. The functions are handed a model and import none."""

from tinyvae.evaluate.active_units import ActiveUnits, active_units
from tinyvae.evaluate.bound import Bound, bound, require_latents
from tinyvae.evaluate.imputation import impute
from tinyvae.evaluate.inference import Gaps, gaps, refine
from tinyvae.evaluate.latent_space import interpolate, manifold, traverse
from tinyvae.evaluate.log_likelihood import LogLikelihood, log_likelihood
from tinyvae.evaluate.neighbours import nearest
from tinyvae.evaluate.rate_distortion import Estimate, Rates, rates

__all__ = [
    "ActiveUnits", "Bound", "Estimate", "Gaps", "LogLikelihood", "Rates", "active_units", "bound", "gaps", "impute",
    "interpolate", "log_likelihood", "manifold", "nearest", "rates", "refine", "require_latents", "traverse",
]  # fmt: skip
