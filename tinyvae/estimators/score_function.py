"""Leave the sample alone and weigh the score of the distribution with f."""

import numpy as np

from tinyvae.estimators.contract import Draws
from tinyvae.estimators.traits import estimator
from tinyvae.objectives import Integrand

__all__ = ["score_function", "leave_one_out", "optimal_constant"]


@estimator(objective="average", q=("score",))
def score_function(q, target, eps, objective=None, rng=None):
    """The score-function estimator (REINFORCE, likelihood ratio).

        d/dlambda E_q[f(z)] = E_q[ f(z) dlog q(z)/dlambda ]

    Wins: f is a black box or has jumps; or is bounded and wiggly. Loses: almost everywhere else, for its
    variance grows with f's size, even with a constant added to f, and with the dimension. Costs one f a
    sample. (Where the KL is sampled, f is the whole integrand; its explicit derivative
    beta dlog q/dlambda has mean zero and is left out.)

    Parameters
    ----------
    q : DiagonalGaussian or another distribution with `score`
        One for each of B data points.
    target : Target
        f; df/dz is not asked.
    eps : array (S, B, K)
        Standard normal noise, in q's dtype.
    objective : ELBO or another that averages, optional
        None takes the plain expectation of f.
    rng : numpy.random.Generator, optional
        Not asked.

    Returns
    -------
    Draws
        f (S, B), nats, and dparams (S, B, 2K).

    Raises
    ------
    ValueError
        Under ImportanceWeighted; if q lacks `score`, a shape does not fit, or eps or f is not finite.
    TypeError
        If `objective` is no objective, or eps is not of q's dtype.

    Notes
    -----
    Source: Williams 1992; Paisley et al. 2012; Kingma & Welling 2014, section 2.2.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    dparams = f[..., None] * q.score(z)  # S, B, 2K
    return Draws(f, dparams)


@estimator(samples=2, independent=True, objective="average", q=("score",))
def leave_one_out(q, target, eps, objective=None, rng=None):
    """The score function with, as each sample's baseline, the mean of the *other* samples (RLOO, VarGrad).

        d/dlambda E_q[f(z)] = E[ 1/S sum_s (f(z_s) - b_s) dlog q(z_s)/dlambda ],  b_s = 1/(S-1) sum_{r != s} f(z_r)

    Unbiased, because b_s does not depend on z_s; hence the samples must be independent. Wins: without training, where
    f's level is not known, since a constant added to f no longer matters. Loses: to the pathwise estimator where f is
    smooth; with few samples to a good learnt baseline, and even to none where f's level is near 0, for b_s is noisy
    itself. Costs one f a sample and needs two samples or more.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution with `score`
        One for each of B data points.
    target : Target
        f; df/dz is not asked.
    eps : array (S, B, K)
        Standard normal noise, in q's dtype; S of at least 2.
    objective : ELBO or another that averages, optional
        None takes the plain expectation of f.
    rng : numpy.random.Generator, optional
        Not asked.

    Returns
    -------
    Draws
        f (S, B), nats, and dparams (S, B, 2K).

    Raises
    ------
    ValueError
        If S < 2; under ImportanceWeighted; if the samples are said to depend on each other (`tinyvae.noise.in_use`), q
        lacks `score`, a shape does not fit, or eps or f is not finite.
    TypeError
        If `objective` is no objective, or eps is not of q's dtype.

    Notes
    -----
    Source: Salimans & Knowles 2014; Kool et al. 2019; Richter et al. 2020.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    baseline = (f.sum(axis=0) - f) / (len(f) - 1)  # S, B
    dparams = (f - baseline)[..., None] * q.score(z)  # S, B, 2K
    return Draws(f, dparams)


@estimator(samples=2, independent=True, objective="average", q=("score",))
def optimal_constant(q, target, eps, objective=None, rng=None):
    """The score function with the variance-optimal constant for each coordinate, estimated from the *other* samples.

        1/S sum_s (f(z_s) - c_s) h_s,  h = dlog q(z)/dlambda,  c_s = sum_{r != s} f(z_r) h_r^2 / sum_{r != s} h_r^2

    c = E[f h^2] / E[h^2] minimises the variance of (f - c) h, a coordinate at a time. Estimated from all
    samples it would be biased; leaving out the one that it multiplies keeps it unbiased, as long as the
    samples are independent. Wins: over leave-one-out where f and h^2 are correlated, as near a minimum, from
    a dozen samples on. Loses: elsewhere, c being a noisy ratio, with less than hundreds; with S = 2 it *is*
    leave-one-out. Costs one f a sample.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution with `score`
        One for each of B data points.
    target : Target
        f; df/dz is not asked.
    eps : array (S, B, K)
        Standard normal noise, in q's dtype; S of at least 2.
    objective : ELBO or another that averages, optional
        None takes the plain expectation of f.
    rng : numpy.random.Generator, optional
        Not asked.

    Returns
    -------
    Draws
        f (S, B), nats, and dparams (S, B, 2K).

    Raises
    ------
    ValueError
        If S < 2; under ImportanceWeighted; if the samples are said to depend on each other (`tinyvae.noise.in_use`), q
        lacks `score`, a shape does not fit, or eps or f is not finite.
    TypeError
        If `objective` is no objective, or eps is not of q's dtype.

    Notes
    -----
    Source: Greensmith et al. 2004; Ranganath et al. 2014, section 3.2.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    h = q.score(z)  # S, B, 2K
    others = 1 - np.eye(len(eps), dtype=h.dtype)  # S, S: summed without the own term; subtracting it would cancel
    weighted = np.tensordot(others, f[..., None] * h * h, axes=1)  # S, B, 2K
    weights = np.tensordot(others, h * h, axes=1)  # S, B, 2K
    constant = weighted / np.maximum(weights, np.finfo(h.dtype).tiny)  # S, B, 2K; where all h are 0, any will do
    dparams = (f[..., None] - constant) * h  # S, B, 2K
    return Draws(f, dparams)
