"""Judges of lesson 02: the price of p(x), the bound and its gap, a W turned for a diagonal posterior."""

import numpy as np

from tinyvae.distributions import DiagonalGaussian
from tinyvae.exercises.contract import Wrong, array, call, close, off, several
from tinyvae.problems import LinearGaussian

__all__ = ["log10_prior_draws", "bound_and_gap", "turned_for_a_diagonal"]


def log10_prior_draws(answer):
    """Judge the price of an effective draw, by sums over a fine grid of z.

    Parameters
    ----------
    answer : callable
        (x, gain, s) -> log10 of the draws.

    Raises
    ------
    Wrong
    """
    rng = np.random.default_rng(2)
    for K in (1, 3, 8):
        x, gain = rng.normal(0, 1, K), rng.uniform(0.4, 1.6, K) * rng.choice((-1, 1), K)
        s = rng.uniform(0.15, 0.8, K)
        got, true = float(array(call(answer, x, gain, s))), _price(x, gain, s).sum()
        if close(got, true):
            continue
        where = f"for K = {K}"
        mistakes = {
            "the sign: an effective draw costs at least one draw, so that the logarithm is not negative": -true,
            "the natural logarithm: log10 is asked for": true * np.log(10),
            "the number itself: its log10 is asked for": 10**true,
            "the mean over the dimensions: do their costs add up, multiply or average": true / K,
            "p(x | z) is squared in E[w^2], and E[w] is not: look at the definition": _price(x, gain, s, 1).sum(),
            "s is a standard deviation, and is read as a variance": _price(x, gain, np.sqrt(s)).sum(),
            "the gain is missing: what is the variance of x_k": _price(x, np.ones(K), s).sum(),
            "the gain of x = gain z is not the variance of gain z": _price(x, np.sqrt(abs(gain)), s).sum(),
            "x is missing: it is the price of the x that is given": _price(0 * x, gain, s).sum(),
            "the mean over x: the price of the x that is given is asked for": _mean_price(gain, s),
            "a constant is missing: a squared density does not add up to 1": true
            + np.log10(2 * s * np.sqrt(np.pi)).sum(),
            "the squared density is taken to be as wide as the density": _same_width(x, gain, s),
        }
        for mistake, value in mistakes.items():
            if close(got, value):
                raise Wrong(f"{mistake} ({where})")
        raise Wrong(f"{off(got, true)} {where}: look at E[w] and E[w^2] one after the other")


def _price(x, gain, s, power=2):
    """log10 of E[w^2] / E[w]^power, dimension by dimension, by a grid of z, (K,)."""
    z = np.linspace(-9, 9, 6001)[:, None]  # N, 1
    cell = (z[1] - z[0]) * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)  # N, 1
    w = np.exp(-0.5 * ((x - gain * z) / s) ** 2) / (s * np.sqrt(2 * np.pi))  # N, K
    return np.log10((w**2 * cell).sum(axis=0)) - power * np.log10((w * cell).sum(axis=0))


def _mean_price(gain, s):
    """The mean of the price over x, which is quadratic in x: two values of x say it."""
    at_zero = _price(np.zeros(len(s)), gain, s)
    return (at_zero + (_price(np.ones(len(s)), gain, s) - at_zero) * (gain**2 + s**2)).sum()


def _same_width(x, gain, s):
    """The price if N(x; m, s^2)^2 were N(x; m, s^2) / (2 s sqrt(pi))."""
    log_px = -0.5 * (x**2 / (gain**2 + s**2) + np.log(2 * np.pi * (gain**2 + s**2)))
    return (-log_px - np.log(2 * s * np.sqrt(np.pi))).sum() / np.log(10)


def bound_and_gap(answer):
    """Judge the ELBO and its gap, by the linear-Gaussian model.

    Parameters
    ----------
    answer : callable
        (x, gain, s, mu, var) -> elbo (B,), gap (B,).

    Raises
    ------
    Wrong
    """
    rng = np.random.default_rng(3)
    for gain, s in ((1.0, 1.0), (-0.6, 1.7), (1.4, 0.3)):
        x, mu, var = rng.normal(0, 1.5, 5), rng.normal(0, 1, 5), rng.uniform(0.2, 2.5, 5)
        elbo, gap = several(call(answer, x, gain, s, mu, var), 2)
        elbo, gap = array(elbo, (5,), "the ELBO"), array(gap, (5,), "the gap")
        model = LinearGaussian(np.array([[gain]]), np.zeros(1), s)
        q = DiagonalGaussian(mu[:, None], np.log(var)[:, None])
        log_px, true = model.log_likelihood(x[:, None]), model.elbo(q, x[:, None])
        at, width = (value.ravel() for value in model.posterior(x[:, None]))
        rate, back = _kl(mu, var, 0.0, 1.0), _kl(0.0, 1.0, mu, var)
        given = true + rate  # E_q[log p(x | z)]
        at_mean, constant = given + gain**2 * var / (2 * s**2), 0.5 * np.log(2 * np.pi * s**2)
        where = f"at gain = {gain}, s = {s}"
        _compare(
            "the ELBO",
            elbo,
            true,
            {
                "it is log p(x) itself, the sum of the two parts": log_px,
                "its sign: it is a lower bound on log p(x)": -true,
                "the KL is added: look at which way a code that costs more moves the bound": given + rate,
                "the KL is missing": given,
                "the KL to the prior lacks its factor": given - 2 * rate,
                "the KL is the prior's to q: the order of its arguments": given - back,
                "the KL is taken to the posterior: which of the two KLs stands in line 6": given - (log_px - true),
                "the reconstruction is taken at q's mean, as if q had no width": at_mean - rate,
                "the spread of q: the decoder multiplies it by the gain": at_mean - var / (2 * s**2) - rate,
                "the constant of p(x | z), which makes it a density, is missing": true + constant,
                "the constant of p(x | z) depends on s": true + np.log(s),
                "the constant of p(x | z): s is a standard deviation": true + 0.5 * np.log(s),
                "E_q[log q] stands where E_q[log p(x | z)] belongs": -0.5 * np.log(2 * np.pi * np.e * var) - rate,
                "var is a variance, and is read as a standard deviation": model.elbo(q.like(_squared(q)), x[:, None]),
                "var is a variance, and is read as its logarithm": model.elbo(
                    DiagonalGaussian(mu[:, None], var[:, None]), x[:, None]
                ),
            },
            where,
        )
        _compare(
            "the gap",
            gap,
            log_px - true,
            {
                "it is the KL to the prior: look at line 5": rate,
                "its sign: a KL is never negative": true - log_px,
                "it is the posterior's KL to q: the order of its arguments": _kl(at, width, mu, var),
                "it lacks its factor": 2 * (log_px - true),
                "the posterior's variance: one stays 1": _kl(mu, var, at, 1.0),
                "only the means are compared, not the widths": (mu - at) ** 2 / (2 * width),
                "var is a variance, and is read as a standard deviation": _kl(mu, var**2, at, width),
                "the posterior's variance is used as a standard deviation": _kl(mu, var, at, width**2),
                "the posterior's variance: what is it where s is very large": _kl(mu, var, at, width / s**2),
                "the posterior's mean: how much does the prior pull": _kl(mu, var, x / gain, width),
            },
            where,
        )


def _kl(mu, var, mean, width):
    """KL(N(mu, var) || N(mean, width)), both widths variances, nats."""
    return (var / width + (mu - mean) ** 2 / width - 1 - np.log(var / width)) / 2


def _squared(q):
    """The params of a q whose variances are those of `q`, squared."""
    return np.concatenate([q.mu, 2 * q.logvar], axis=1)


def _compare(what, got, true, mistakes, where):
    """Raise Wrong unless `got` is `true`, with the mistake's name if it gives what was got."""
    if close(got, true):
        return
    for mistake, value in mistakes.items():
        if not close(value, true) and close(got, value):
            raise Wrong(f"{what}: {mistake} ({where})")
    raise Wrong(f"{what} is {off(got, true)} {where}")


def turned_for_a_diagonal(answer):
    """Judge a turned W by what it says of x, and by its posterior's covariance.

    Parameters
    ----------
    answer : callable
        W (D, K) -> another (D, K).

    Raises
    ------
    Wrong
    """
    rng = np.random.default_rng(4)
    for D, K in ((4, 2), (7, 3), (5, 5), (3, 1)):
        W = rng.standard_normal((D, K)) @ (np.eye(K) + 0.5 * np.ones((K, K)))
        V, where = array(call(answer, W), (D, K)), f"for a W of {D} x {K}"
        if not close(V @ V.T, W @ W.T):
            if close(V.T @ V, np.eye(K)):
                raise Wrong(f"the directions are there, the lengths of the columns are lost: all are 1 ({where})")
            if close(np.diag(V @ V.T).sum(), np.diag(W @ W.T).sum()):
                raise Wrong(f"it has W's size, and yet x has another covariance: on which side is W turned ({where})")
            raise Wrong(f"it says something else of x: x's covariance is {off(V @ V.T, W @ W.T)} {where}")
        inner = V.T @ V
        size = np.sqrt(np.outer(inner.diagonal(), inner.diagonal())) + 1e-12 * inner.trace()
        left = np.max(np.abs(inner - np.diag(inner.diagonal())) / size)
        if left > 1e-4:
            if close(V, W):
                raise Wrong(f"it is W, not turned: its latents are correlated given x ({where})")
            turn = np.linalg.svd(W)[2]
            if close(abs(V), abs(W @ turn)):
                raise Wrong(f"the right rotation, the wrong way round: a matrix, or its transpose ({where})")
            raise Wrong(f"it says the same of x, and the columns' largest cosine is {left:.2f}, not 0 ({where})")
