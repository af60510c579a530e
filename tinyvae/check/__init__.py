"""Check gradients: finite differences for what is deterministic, quadrature for what is an expectation over a few
latents, and a certificate of unbiasedness for what is random. All of it fits into a reader's own test suite."""

from tinyvae.check.certificate import Certificate, Tested, unbiased
from tinyvae.check.differences import GradientCheck, gradients
from tinyvae.distributions.gaussian import gauss_hermite
from tinyvae.problems import (
    Problem,
    bound_problems,
    default_problems,
    exact_gradient,
    exact_loss,
    exact_mean,
    problem,
)  # fmt: skip

__all__ = [
    "unbiased", "Certificate", "Tested", "gradients", "GradientCheck", "Problem", "problem", "default_problems",
    "bound_problems", "exact_gradient", "exact_loss", "exact_mean", "gauss_hermite",
]  # fmt: skip
