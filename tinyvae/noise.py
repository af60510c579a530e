"""Noise schemes: ways to draw eps (S, B, K), each element standard normal.

A scheme is a function `(rng, n_samples, n_points, n_latents, dtype) -> eps`. The samples of one data point may depend on
each other, to cover the space more evenly; different points' never do.
"""

import numpy as np

from tinyvae import estimators, validate
from tinyvae.objectives import ELBO


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

    Each data point and latent has a scrambling of its own, a random linear map of the bits and a random shift. Wins for smooth integrands, few latents and many samples: the
    variance falls faster than 1/S.
    Raises ValueError unless n_samples is a power of two. Source: Matousek 1998; Buchholz, Wenzel & Mandt 2018.
    """
    if n_samples & (n_samples - 1):
        raise ValueError(f"sobol noise is balanced for powers of two only: n_samples must be 1, 2, 4, ..., got {n_samples}")
    from scipy.special import ndtri
    from scipy.stats import qmc

    one = 2**30  # the points are whole numbers below it
    points = (qmc.Sobol(n_latents, scramble=False, bits=30).random(n_samples) * one).astype("int64")  # S, K
    scrambled = np.empty((n_samples, n_points, n_latents), "int64")
    scrambled[:] = rng.integers(one, size=(n_points, n_latents))
    for i in range(1, n_samples.bit_length()):  # the first 2^m points use the m highest bits only
        bit = one >> i
        flips = bit + rng.integers(bit, size=(n_points, n_latents))  # B, K: the bit itself and random ones below it
        scrambled ^= np.where(points[:, None] & bit, flips, 0)  # S, B, K
    return ndtri((scrambled + 0.5) / one).astype(dtype, copy=False)


SCHEMES = {"independent": independent, "antithetic": antithetic, "sobol": sobol}


def resolve(noise):
    """A scheme: `noise` itself, or the one that it names."""
    return noise if callable(noise) else SCHEMES[validate.choice("noise", noise, SCHEMES)]


def require_compatible(scheme, estimator, objective=None):
    """Raise if the scheme's samples depend on each other and the estimator or the objective is made for independent ones.

    The built-in estimators are known; whether a reader's own takes a baseline from the other samples cannot be seen here, nor
    whether a reader's scheme is independent.
    """
    if scheme is independent:
        return
    name = getattr(scheme, "__name__", repr(scheme))
    if objective is not None and not isinstance(objective, ELBO):
        raise ValueError(
            f"the importance-weighted bound is defined for independent samples; with {name} noise it would be another "
            "objective, and its gradient another one. Use independent noise, or an ELBO"
        )
    if estimator in estimators.NEED_INDEPENDENT_SAMPLES:
        raise ValueError(
            f"{estimator.__name__} takes its baseline from the other samples, which must be independent; "
            f"{name} noise would bias it. Use independent noise, or another estimator"
        )
