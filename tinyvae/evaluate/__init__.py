"""How good a trained model is, and what it is good for. The functions are handed a model and import none."""

from tinyvae.evaluate.active_units import ActiveUnits, active_units
from tinyvae.evaluate.annealed import Annealed, Sandwich, annealed, sandwich
from tinyvae.evaluate.bound import Bound, bound, require_latents
from tinyvae.evaluate.discrete import exact_log_likelihood
from tinyvae.evaluate.estimate import Estimate
from tinyvae.evaluate.geometry import codes, completeness, continuity
from tinyvae.evaluate.held_out import Generalization, bits_per_pixel, generalization
from tinyvae.evaluate.imputation import impute
from tinyvae.evaluate.inference import Gaps, gaps, refine
from tinyvae.evaluate.latent_space import interpolate, manifold, traverse
from tinyvae.evaluate.log_likelihood import LogLikelihood, log_likelihood
from tinyvae.evaluate.neighbours import nearest
from tinyvae.evaluate.probe import Probe, probe
from tinyvae.evaluate.rate_distortion import Rates, rates

__all__ = [
    "ActiveUnits", "Annealed", "Bound", "Estimate", "Gaps", "Generalization", "LogLikelihood", "Probe", "Rates",
    "Sandwich", "active_units", "annealed", "bits_per_pixel", "bound", "codes", "completeness", "continuity",
    "exact_log_likelihood", "gaps", "generalization", "impute", "interpolate", "log_likelihood", "manifold",
    "nearest", "probe", "rates", "refine", "require_latents", "sandwich", "traverse",
]  # fmt: skip
