"""How good a trained model is. The functions are handed a model and import none."""

from tinyvae.evaluate.bound import Bound, bound, require_latents
from tinyvae.evaluate.log_likelihood import log_likelihood

__all__ = ["Bound", "bound", "log_likelihood", "require_latents"]
