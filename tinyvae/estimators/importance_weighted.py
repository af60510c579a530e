"""Estimators made for the importance-weighted bound: L = -log 1/S sum_s w_s, w_s = p(x, z_s) / q(z_s | x)."""

import numpy as np

from tinyvae import validate
from tinyvae.estimators.contract import Draws
from tinyvae.estimators.traits import estimator
from tinyvae.objectives import ImportanceWeighted, Integrand

__all__ = ["dreg", "vimco"]


@estimator(independent=True, objective="bound", q=("path",), f=("value", "grad"))
def dreg(q, target, eps, objective=None, rng=None):
    """The doubly reparameterized gradient of the importance-weighted bound.

        dL/dlambda = E[ sum_s wn_s^2 dl(z_s)/dz dz_s/dlambda ],  l = -log w,  wn_s = w_s / sum_r w_r

    The explicit score that the pathwise gradient carries is itself reparameterized away. Wins: over the pathwise
    gradient of the bound with many samples: its signal-to-noise ratio grows as sqrt(S), theirs falls
    as 1/sqrt(S). Loses: with few samples, far from the posterior (with S = 1 it is the path derivative); it needs
    df/dz, and independent samples. Costs one f and one df/dz a sample.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution with `path`
        One for each of B data points.
    target : Target
        f and df/dz.
    eps : array (S, B, K)
        Standard normal noise, in q's dtype.
    objective : ImportanceWeighted
        It must be given.
    rng : numpy.random.Generator, optional
        Not asked.

    Returns
    -------
    Draws
        f (S, B), each sample's -log w, nats, and dparams (S, B, 2K).

    Raises
    ------
    ValueError
        Under an objective that averages, None included; if the samples are said to depend on each other
        (`tinyvae.noise.in_use`), the target has no gradient, q lacks `path`, a shape does not fit, or eps, f or df/dz
        is not finite.
    TypeError
        If `objective` is no objective, or eps is not of q's dtype.

    Notes
    -----
    Source: Tucker, Lawson, Gu & Maddison 2019, eq. 8.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    weights = objective.weights(f)  # S, B
    validate.check_finite("the objective's weights", weights)
    if not np.allclose(weights, ImportanceWeighted().weights(loss.beta * f), rtol=1e-3, atol=1e-6) or loss.beta != 1:
        raise ValueError(f"dreg squares w / sum w, the importance-weighted bound's weights; {objective!r} has others")
    dz = loss.grad(z)  # S, B, K
    dparams = len(f) * (weights * weights)[..., None] * q.path(dz, eps)  # S, B, 2K
    return Draws(f, dparams)


@estimator(samples=2, independent=True, objective="bound", q=("score",))
def vimco(q, target, eps, objective=None, rng=None):
    """The score function on the importance-weighted bound, each sample's baseline made from the *others*.

        dL/dlambda = E[ sum_s (L - L_{-s}) dlog q(z_s)/dlambda + sum_s wn_s dl(z_s)/dlambda ]

    L_{-s} is the bound with w_s replaced by the geometric mean of the other weights. The second sum is the bound's
    explicit dependence on lambda; its mean is not zero here. Wins: no df/dz needed, and a learning signal for
    each sample rather than one for all. Loses: to dreg where df/dz exists. Samples must be independent.
    Costs one f a sample and needs two samples or more.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution with `score`
        One for each of B data points.
    target : Target
        f; df/dz is not asked.
    eps : array (S, B, K)
        Standard normal noise, in q's dtype; S of at least 2.
    objective : ImportanceWeighted
        It must be given.
    rng : numpy.random.Generator, optional
        Not asked.

    Returns
    -------
    Draws
        f (S, B), each sample's -log w, nats, and dparams (S, B, 2K).

    Raises
    ------
    ValueError
        If S < 2; under an objective that averages, None included; if the samples are said to depend on each other
        (`tinyvae.noise.in_use`), q lacks `score`, a shape does not fit, or eps or f is not finite.
    TypeError
        If `objective` is no objective, or eps is not of q's dtype.

    Notes
    -----
    Source: Mnih & Rezende 2016.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    bound = objective.value(f)  # B
    stand_in = (f.sum(axis=0) - f) / (len(f) - 1)  # S, B: minus the log of the others' geometric mean
    replaced = np.where(
        np.eye(len(f), dtype=bool)[..., None], stand_in[:, None], f[None]
    )  # S, S, B: [s] lacks sample s
    baseline = np.stack([objective.value(row) for row in replaced])  # S, B
    explicit = objective.weights(f)[..., None] * loss.explicit(z)  # S, B, 2K
    dparams = len(f) * ((bound - baseline)[..., None] * q.score(z) + explicit)  # S, B, 2K
    return Draws(f, dparams)
