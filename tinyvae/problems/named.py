"""Named problems for the laboratory, each with its exact gradient: toys, some of bits, and a linear-Gaussian model."""

import numpy as np

from tinyvae import validate
from tinyvae.distributions import DiagonalGaussian
from tinyvae.estimators import Target
from tinyvae.objectives import PLAIN
from tinyvae.problems.discrete import coupled_bits, one_bit, one_choice
from tinyvae.problems.linear_gaussian import linear_gaussian
from tinyvae.problems.problem import Problem

__all__ = ["names", "make", "quadratic", "quadratic_offset", "exp", "cosine", "coupled", "PROBLEMS"]


def names():
    """The problems' names, in reading order.

    Returns
    -------
    list of str
        What `make` knows.
    """
    return list(PROBLEMS)


def make(name, objective=None, n_samples=1, **options):
    """The problem called `name`.

    Parameters
    ----------
    name : str
        One of `names()`.
    objective : ELBO, ImportanceWeighted or None
        None for the problem's own: the plain expectation, or the ELBO for a model; the toys are expectations and take
        no other.
    n_samples : int
        S, on which the gradient of an importance-weighted bound depends.
    **options : object
        The problem's own, see its function.

    Returns
    -------
    Problem
        A `check.Problem`, float64: q, target, objective, and the exact gradient that `variance.measure_target` must
        find, (B, P), an analytic KL's included, or None where none is known.

    Raises
    ------
    ValueError
        For an unknown name, an objective that does not fit, or an option out of its range.
    TypeError
        For an option that the problem does not have, or of another type.
    """
    function = PROBLEMS[validate.choice("problem", name, PROBLEMS)]
    if function is linear_gaussian:
        return linear_gaussian(objective, n_samples, **options)
    if objective not in (None, PLAIN):
        raise ValueError(
            f"problem {name!r} is a plain expectation, which has no KL and no bound: "
            "leave the objective out, or take 'linear_gaussian' or a model"
        )
    return function(**options)


# --- toys -------------------------------------------------------------------------------------------------


def quadratic(k=-3.0, offset=0.0, mu=1.0, sigma=1.0):
    """(z - k)^2 + offset.

        d/dmu = 2 (mu - k),   d/dlogvar = sigma^2

    Parameters
    ----------
    k : float
        Where the least value is.
    offset : float
        A constant.
    mu, sigma : float
        Mean and standard deviation of q.

    Returns
    -------
    Problem
        One data point, one latent.
    """
    k, offset = validate.number("k", k), validate.number("offset", offset)
    q = _one(mu, sigma)
    target = Target(lambda z: ((z - k) ** 2).sum(axis=2) + offset, lambda z: 2 * (z - k))
    return _problem("quadratic", q, target, 2 * (mu - k), sigma**2)


def quadratic_offset():
    """(z + 3)^2 + 1000: a constant that a learning signal without a baseline suffers from.

    Returns
    -------
    Problem
        `quadratic` with offset 1000.
    """
    return quadratic(offset=1000.0)._replace(name="quadratic_offset")


def exp(k=1.0, mu=1.0, sigma=1.0):
    """exp(-k z^2).

        E = exp(-k mu^2 / c) / sqrt(c),   c = 1 + 2 k sigma^2
        d/dmu = -2 k mu / c E,   d/dlogvar = sigma^2 (2 k^2 mu^2 / c^2 - k / c) E

    Parameters
    ----------
    k : float
        How narrow it is.
    mu, sigma : float
        Mean and standard deviation of q.

    Returns
    -------
    Problem
        One data point, one latent.

    Raises
    ------
    ValueError or TypeError
        For an option that is no finite number, or a k of which the mean is infinite.
    """
    k, q = validate.number("k", k), _one(mu, sigma)
    c = 1 + 2 * k * sigma**2
    if not c > 0:
        raise ValueError(f"k must be greater than -1 / (2 sigma^2) = {-0.5 / sigma**2:g}, got {k:g}: no mean is finite")
    mean = np.exp(-k * mu**2 / c) / np.sqrt(c)
    target = Target(lambda z: np.exp(-k * z * z).sum(axis=2), lambda z: -2 * k * z * np.exp(-k * z * z))
    return _problem("exp", q, target, -2 * k * mu / c * mean, sigma**2 * (2 * (k * mu / c) ** 2 - k / c) * mean)


def cosine(k=0.5, mu=1.0, sigma=1.0):
    """cos(k z).

        d/dmu = -k sin(k mu) exp(-k^2 sigma^2 / 2),   d/dlogvar = -k^2 sigma^2 / 2 cos(k mu) exp(-k^2 sigma^2 / 2)

    Parameters
    ----------
    k : float
        The frequency, in radians a unit of z.
    mu, sigma : float
        Mean and standard deviation of q.

    Returns
    -------
    Problem
        One data point, one latent.
    """
    k, q = validate.number("k", k), _one(mu, sigma)
    damping = np.exp(-0.5 * (k * sigma) ** 2)
    target = Target(lambda z: np.cos(k * z).sum(axis=2), lambda z: -k * np.sin(k * z))
    return _problem(
        "cosine",
        q,
        target,
        -k * np.sin(k * mu) * damping,
        -0.5 * (k * sigma) ** 2 * np.cos(k * mu) * damping,
    )


def coupled(n_latents=5, mu=1.0, sigma=1.0):
    """(sum_k z_k - 1)^2.

        d/dmu_k = 2 (sum mu - 1),   d/dlogvar_k = sigma^2

    Parameters
    ----------
    n_latents : int
        K.
    mu, sigma : float
        Mean and standard deviation of q in each latent.

    Returns
    -------
    Problem
        One data point, K latents.
    """
    q = _one(mu, sigma, validate.integer("n_latents", n_latents, least=1))
    target = Target(
        lambda z: (z.sum(axis=2) - 1) ** 2,
        lambda z: np.broadcast_to(2 * (z.sum(axis=2, keepdims=True) - 1), z.shape).copy(),
    )
    return _problem("coupled", q, target, 2 * (n_latents * mu - 1), sigma**2)


def _one(mu, sigma, n_latents=1):
    mu, sigma = validate.number("mu", mu), validate.number("sigma", sigma, least=0, open_least=True)
    return DiagonalGaussian(np.full((1, n_latents), mu), np.full((1, n_latents), 2 * np.log(sigma)))


def _problem(name, q, target, dmu, dlogvar):
    return Problem(name, q, target, None, q.join(np.full(q.mu.shape, float(dmu)), np.full(q.mu.shape, float(dlogvar))))


TOYS = quadratic, quadratic_offset, exp, cosine, coupled
PROBLEMS = {f.__name__: f for f in (*TOYS, linear_gaussian, one_bit, coupled_bits, one_choice)}
