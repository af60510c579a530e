"""What the certificate tests an estimator on: targets whose exact gradient is known by quadrature or enumeration."""

import functools

import numpy as np

from tinyvae import validate
from tinyvae.distributions import DiagonalGaussian
from tinyvae.estimators import Target
from tinyvae.objectives import ELBO, ImportanceWeighted
from tinyvae.problems.discrete import bits_bound, certified_bits, certified_groups, groups_bound
from tinyvae.problems.problem import problem

__all__ = ["default_problems", "bound_problems", "LATENTS"]


def default_problems(latents="gaussian"):
    """The certificate's own problems, in float64, two data points each.

    Smooth, bounded, wiggly, coupled, sampled KL, and an analytic one, which is not the estimator's to add; large offset
    and large scale betray a learning signal that was clipped or normalised; a Gaussian's standard deviations away from
    1 betray a log-variance read as something else; of bits and choices, a bend between the states.

    Parameters
    ----------
    latents : {"gaussian", "binary", "categorical"}
        What q is.

    Returns
    -------
    tuple of Problem
        Made once, and remembered.

    Raises
    ------
    ValueError
        For other latents.
    """
    return LATENTS[validate.choice("latents", latents, LATENTS)][0]()


@functools.cache  # the quadrature takes longer than a small test
def _gaussians():
    one = DiagonalGaussian(np.array([[0.6], [-0.4]]), np.array([[0.5], [-1.0]]))
    two = DiagonalGaussian(np.array([[0.6, -0.3], [-0.5, 0.8]]), np.array([[0.5, -0.8], [-0.6, 0.3]]))
    three = DiagonalGaussian(
        np.array([[0.9, -0.8, 0.7], [0.8, 0.9, -1.0]]), np.array([[-0.5, 0.3, -0.8], [0.2, -0.7, -0.4]])
    )
    away = np.array([[2.0], [-1.5]])  # B, 1: each data point has its own bowl

    def bowl(scale, offset=0.0):
        return Target(lambda z: offset + scale * ((z - away) ** 2).sum(axis=2), lambda z: 2 * scale * (z - away))

    bump = Target(lambda z: np.exp(-(z**2)).sum(axis=2), lambda z: -2 * z * np.exp(-(z**2)))
    wave = Target(lambda z: np.cos(1.5 * z).sum(axis=2), lambda z: -1.5 * np.sin(1.5 * z))
    valley = Target(
        lambda z: (z.sum(axis=2) - 1.5) ** 2,
        lambda z: np.broadcast_to(2 * (z.sum(axis=2, keepdims=True) - 1.5), z.shape),
    )
    product = Target(
        lambda z: z.prod(axis=2), lambda z: np.stack([np.delete(z, k, axis=2).prod(axis=2) for k in range(3)], axis=2)
    )
    return (
        problem("quadratic", one, bowl(1.0)),
        problem("bump exp(-z^2)", one, bump),
        problem("cosine", one, wave),
        problem("quadratic + 1000", one, bowl(100.0, offset=1000.0)),
        problem("10000 x quadratic", one, bowl(1e4)),
        problem("coupled (z1 + z2 - 1.5)^2", two, valley),
        problem("product z1 z2 z3", three, product),
        problem("coupled, sampled KL", two, valley, ELBO(kl="monte_carlo")),
        problem("quadratic, sampled KL, beta 3", one, bowl(0.5), ELBO(beta=3.0, kl="monte_carlo")),
        problem("quadratic, analytic KL, beta 3", one, bowl(0.5), ELBO(beta=3.0)),
    )


@functools.cache
def bound_problems(n_samples=(1, 2, 3, 8), latents="gaussian"):
    """The certificate's problems for estimators of the importance-weighted bound's gradient, which depends on S.

    z ~ N(0, I): a Gaussian observation, whose posterior is known; a logistic one; a narrow one with a large offset,
    whose weights underflow if they are not scaled; a coupled one of two latents. Of bits and choices a coupled one, and
    a narrow one with a large offset.

    Parameters
    ----------
    n_samples : tuple of int
        The S, each of at least 1.
    latents : {"gaussian", "binary", "categorical"}
        What q is.

    Returns
    -------
    tuple of Problem
        Each of them for each S, in float64, two data points each. Made once, and remembered.

    Raises
    ------
    ValueError or TypeError
        If an S is no integer of at least 1; for other latents.
    """
    return LATENTS[validate.choice("latents", latents, LATENTS)][1](n_samples)


def _gaussian_bounds(n_samples):
    one = DiagonalGaussian(np.array([[1.0], [0.3]]), np.array([[-0.4], [-0.1]]))
    two = DiagonalGaussian(np.array([[0.6, -0.3], [-0.5, 0.8]]), np.array([[0.1, -0.4], [-0.3, 0.2]]))
    x = np.array([[-0.5], [1.0]])  # B, 1

    def bowl(scale, offset=0.0):
        return Target(lambda z: offset + scale * ((z - x) ** 2).sum(axis=2), lambda z: 2 * scale * (z - x))

    logistic = Target(lambda z: np.logaddexp(0, 2 * (x - z)).sum(axis=2), lambda z: -2 / (1 + np.exp(2 * (z - x))))
    valley = Target(
        lambda z: (z.sum(axis=2) - 1.5) ** 2 / 2, lambda z: np.broadcast_to(z.sum(axis=2, keepdims=True) - 1.5, z.shape)
    )
    targets = (
        ("bound, Gaussian", one, bowl(0.5)),
        ("bound, logistic", one, logistic),
        ("bound, narrow + 1000", one, bowl(1.5, offset=1000.0)),
        ("bound, coupled", two, valley),
    )
    return tuple(
        problem(name, q, target, ImportanceWeighted(), 128 if q is one else 32, s)
        for name, q, target in targets
        for s in n_samples
    )


LATENTS = {  # what the estimators' own problems, and those of the bound, are of
    "gaussian": (_gaussians, _gaussian_bounds),
    "binary": (certified_bits, bits_bound),
    "categorical": (certified_groups, groups_bound),
}
