"""Noise schemes: ways to draw eps (S, B, K), each element standard normal.

A scheme is a function `(rng, n_samples, n_points, n_latents, dtype) -> eps`. The samples of one data point may depend on
each other, to cover the space more evenly; different points' never do.
"""

import numpy as np

from tinyvae import estimators, validate


def independent(rng, n_samples, n_points, n_latents, dtype="float32"):
    """Independent samples: the plain Monte Carlo estimate, variance 1/S."""
    return rng.standard_normal((n_samples, n_points, n_latents), dtype=np.dtype(dtype))


def antithetic(rng, n_samples, n_points, n_latents, dtype="float32"):
    """Pairs eps, -eps: what is odd in eps cancels. Wins on nearly linear integrands, loses on even ones.

    Raises ValueError unless n_samples is even. Source: Hammersley & Morton 1956.
    """
    if n_samples % 2:
        raise ValueError(f"antithetic noise comes in pairs: n_samples must be even, got {n_samples}")
    half = independent(rng, n_samples // 2, n_points, n_latents, dtype)
    return np.concatenate([half, -half])


def sobol(rng, n_samples, n_points, n_latents, dtype="float32"):
    """Randomised quasi-Monte Carlo: scrambled Sobol points, mapped by the inverse normal distribution function.

    Each data point has a scrambling of its own. Wins for smooth integrands, few latents and many samples: the
    variance falls faster than 1/S.
    Raises ValueError unless n_samples is a power of two. Source: Owen 1997; Buchholz, Wenzel & Mandt 2018.
    """
    if n_samples & (n_samples - 1):
        raise ValueError(f"sobol noise is balanced for powers of two only: n_samples must be 1, 2, 4, ..., got {n_samples}")
    from scipy.special import ndtri
    from scipy.stats import qmc

    eps = np.empty((n_samples, n_points, n_latents))
    half_cell = 0.5**31  # the points sit on a grid of 2^-30: off zero, whose normal quantile is infinite
    for point in range(n_points):
        eps[:, point] = ndtri(qmc.Sobol(n_latents, scramble=True, rng=rng, bits=30).random(n_samples) + half_cell)
    return eps.astype(dtype, copy=False)


SCHEMES = {"independent": independent, "antithetic": antithetic, "sobol": sobol}


def resolve(noise):
    """A scheme: `noise` itself, or the one that it names."""
    return noise if callable(noise) else SCHEMES[validate.choice("noise", noise, SCHEMES)]


def require_compatible(scheme, estimator):
    """Raise if the scheme's samples depend on each other and the estimator's baseline would then be biased."""
    if scheme is not independent and estimator in estimators.NEED_INDEPENDENT_SAMPLES:
        raise ValueError(
            f"{estimator.__name__} takes its baseline from the other samples, which must be independent; "
            f"{scheme.__name__} noise would bias it. Use independent noise, or another estimator"
        )
