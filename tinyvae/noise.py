"""Noise schemes: ways to draw eps (S, B, K), each element standard normal.

A scheme is a function `(rng, n_samples, n_points, n_latents, dtype) -> eps`. The samples of one data point may depend
on each other, to cover the space more evenly; different points' never do. q makes of it what it needs (`q.noise`).
"""

import contextlib
import functools
import threading

import numpy as np

from tinyvae import validate

__all__ = [
    "independent",
    "antithetic",
    "sobol",
    "SCHEMES",
    "resolve",
    "require_compatible",
    "in_use",
    "require_independent",
    "DependentSamples",
]

_ALWAYS = contextlib.nullcontext()
_present = threading.local()  # .scheme: the one whose dependent samples this thread's estimators are given, or None


def independent(rng, n_samples, n_points, n_latents, dtype="float32", empty=np.empty):
    """Independent samples: the plain Monte Carlo estimate, variance 1/S.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_samples : int
        S.
    n_points : int
        B.
    n_latents : int
        K.
    dtype : {"float32", "float64"} or NumPy dtype, optional
    empty : function, optional
        Where the array comes from: (shape, dtype) -> array.

    Returns
    -------
    array (S, B, K)
        eps, written into what `empty` gave.
    """
    eps = empty((n_samples, n_points, n_latents), np.dtype(dtype))
    return rng.standard_normal(out=eps, dtype=eps.dtype)


def antithetic(rng, n_samples, n_points, n_latents, dtype="float32"):
    """Pairs eps, -eps: what is odd in eps cancels.

    Wins on nearly linear integrands, loses on even ones.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_samples : int
        S, even.
    n_points : int
        B.
    n_latents : int
        K.
    dtype : {"float32", "float64"} or NumPy dtype, optional

    Returns
    -------
    array (S, B, K)
        eps, the second half of the samples minus the first.

    Raises
    ------
    ValueError
        Unless n_samples is even.

    Notes
    -----
    Source: Hammersley & Morton 1956.
    """
    if n_samples % 2:
        raise ValueError(f"antithetic noise comes in pairs: n_samples must be even, got {n_samples}")
    half = independent(rng, n_samples // 2, n_points, n_latents, dtype)
    return np.concatenate([half, -half])


def sobol(rng, n_samples, n_points, n_latents, dtype="float32"):
    """Randomised quasi-Monte Carlo: scrambled Sobol points, mapped by the inverse normal distribution function.

    Each data point and latent has a scrambling of its own, a random linear map of the bits and a random shift. Wins for
    smooth integrands, few latents and many samples: the variance falls faster than 1/S.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_samples : int
        S, a power of two.
    n_points : int
        B.
    n_latents : int
        K.
    dtype : {"float32", "float64"} or NumPy dtype, optional

    Returns
    -------
    array (S, B, K)
        eps.

    Raises
    ------
    ValueError
        Unless n_samples is a power of two.

    Notes
    -----
    Source: Matousek 1998; Buchholz, Wenzel & Mandt 2018.
    """
    if n_samples & (n_samples - 1):
        raise ValueError(
            f"sobol noise is balanced for powers of two only: n_samples must be 1, 2, 4, ..., got {n_samples}"
        )
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
    """A scheme: `noise` itself, or the one that it names.

    Parameters
    ----------
    noise : str or function
        One of `SCHEMES`, or a function (rng, n_samples, n_points, n_latents, dtype) -> eps.

    Returns
    -------
    function

    Raises
    ------
    ValueError
        For an unknown name, or what is neither a name nor callable.
    """
    return noise if callable(noise) else SCHEMES[validate.choice("noise", noise, SCHEMES)]


# --- which estimators a scheme fits -----------------------------------------------------------------------


class DependentSamples(ValueError):
    """The samples of a scheme depend on each other, and an estimator is made for independent ones."""


def require_compatible(scheme, estimator, objective=None):
    """Raise if the samples depend on each other and the estimator or the objective needs independent ones.

    An estimator says so itself (`estimators.Traits`). One that a reader's own function calls is heard when it is
    called, see `in_use`. Whether a reader's own takes a baseline from the other samples cannot be seen, nor whether a
    reader's scheme is independent.

    Parameters
    ----------
    scheme : function
        What `resolve` returned.
    estimator : callable
        One such as `estimators.make` gives, or a `functools.partial` of one.
    objective : ELBO, ImportanceWeighted or another objective, optional
        None asks the estimator alone.

    Raises
    ------
    ValueError
        If the objective does not average, or, as DependentSamples, if the estimator says that it needs independent
        samples; neither under `independent`.
    """
    if scheme is independent:
        return
    if objective is not None and not objective.averages:
        raise ValueError(
            f"the importance-weighted bound is defined for independent samples; with {_name(scheme)} noise it would be "
            "another objective, and its gradient another one. Use independent noise, or an ELBO"
        )
    inner = estimator
    while isinstance(inner, functools.partial):
        inner = inner.func
    if hasattr(inner, "traits") and inner.traits.independent:
        raise DependentSamples(_refusal(getattr(inner, "__name__", type(inner).__name__), _name(scheme)))


def in_use(scheme):
    """A context in which estimators are called with the scheme's samples.

    Estimators that need independent ones refuse others, in this thread.

    Parameters
    ----------
    scheme : function
        What `resolve` returned.

    Returns
    -------
    context manager
        One that does nothing where the scheme is `independent`.
    """
    return _ALWAYS if scheme is independent else _dependent(scheme)


@contextlib.contextmanager
def _dependent(scheme):
    before, _present.scheme = getattr(_present, "scheme", None), scheme
    try:
        yield
    finally:
        _present.scheme = before


def require_independent(name):
    """For an estimator to call first: raise where the samples in use depend on each other.

    Parameters
    ----------
    name : str
        The estimator's, for the message.

    Raises
    ------
    DependentSamples
        Within `in_use` of another scheme than `independent`. It is a ValueError.
    """
    scheme = getattr(_present, "scheme", None)
    if scheme is not None:
        raise DependentSamples(_refusal(name, _name(scheme)))


def _name(scheme):
    return getattr(scheme, "__name__", repr(scheme))


def _refusal(name, scheme):
    return (
        f"{name} takes its baseline or its weights from the other samples, which must be independent; "
        f"{scheme} noise would bias it. Use independent noise, or another estimator"
    )
