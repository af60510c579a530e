"""Check gradients: finite differences for what is deterministic, quadrature for what is an expectation over a few
latents, and a certificate of unbiasedness for what is random. All of it fits into a reader's own test suite."""

from tinyvae.check.certificate import Certificate, Tested, unbiased
from tinyvae.check.differences import GradientCheck, gradients
from tinyvae.check.problems import Problem, bound_problems, default_problems, problem
from tinyvae.check.quadrature import exact_gradient, exact_loss, exact_mean, gauss_hermite
