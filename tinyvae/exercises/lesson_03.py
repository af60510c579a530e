"""Judges of lesson 03: quadrature, what a diagonal q gives away, the mutual information of codes."""

import numpy as np

from tinyvae.distributions.gaussian import gauss_hermite
from tinyvae.exercises.contract import Wrong, array, call, close, off
from tinyvae.problems import LinearGaussian

__all__ = ["expectation_by_quadrature", "nats_given_away", "mutual_information"]

SHAPES = ((5, 3), 1.4), ((4, 2), 0.9), ((1, 2), 0.6), ((2, 4), 0.5)  # of W, (D, K), and the noise's width


def expectation_by_quadrature(answer):
    """Judge E[f(z)] by Gauss-Hermite quadrature.

    Parameters
    ----------
    answer : callable
        (f, mu, sigma, n_nodes) -> float.

    Raises
    ------
    Wrong
        Where the result is not that of the rule with n_nodes nodes, or f is asked elsewhere.
    """
    cubic, wave = (lambda z: 2 + z - z**2 + z**3 / 3), (lambda z: np.cos(z) + z**4)
    cases = (
        (cubic, 0.4, 1.7, 2),
        (cubic, -1.3, 0.6, 3),
        (wave, 0.7, 1.4, 3),
        (wave, -0.2, 0.5, 12),
        (wave, 2.1, 2.3, 2),
    )
    for f, mu, sigma, n_nodes in cases:
        asked = []

        def watched(z, f=f, asked=asked):
            z = np.asarray(z)
            asked.append(z.size)
            return f(z)

        got = array(call(answer, watched, mu, sigma, n_nodes))
        where = f"at mu = {mu}, sigma = {sigma}, {n_nodes} nodes"
        _refuse(got, f, mu, sigma, n_nodes, where)
        if sum(asked) > 4 * n_nodes:
            raise Wrong(f"f was asked at {sum(asked)} points {where}: a quadrature asks at its nodes alone")


def _rule(f, mu, sigma, n_nodes):
    """E[f(z)] by n_nodes nodes."""
    eps, weights = gauss_hermite(n_nodes, 1)
    return weights @ f(mu + sigma * eps[:, 0])


def _refuse(got, f, mu, sigma, n_nodes, where):
    """Raise Wrong, naming the mistake if it is a known one, unless `got` is what n_nodes nodes give."""
    right = _rule(f, mu, sigma, n_nodes)
    if close(got, right):
        return
    eps, weights = gauss_hermite(n_nodes, 1)
    other_bell = (
        "the nodes are those of another bell, not of a standard normal: see which weight function each of NumPy's two "
        "hermgauss belongs to"
    )
    not_normalised = "the weights do not add up to 1: try f = 1, whose mean is 1"
    mistakes = (
        (np.sqrt(2 * np.pi) * right, not_normalised),
        (np.sqrt(np.pi) * right, not_normalised),
        (_rule(f, mu, sigma / np.sqrt(2), n_nodes), other_bell),
        (np.sqrt(np.pi) * _rule(f, mu, sigma / np.sqrt(2), n_nodes), f"{other_bell}; nor do the weights add up to 1"),
        (_rule(f, mu, sigma**2, n_nodes), "sigma is taken for a variance somewhere: try f(z) = (z - mu)^2"),
        (_rule(f, mu, np.sqrt(sigma), n_nodes), "sigma is a standard deviation here, and was taken for a variance"),
        (_rule(f, 0.0, sigma, n_nodes), "mu has no effect: try f(z) = z"),
        (_rule(f, mu, 1.0, n_nodes), "sigma has no effect: try f(z) = (z - mu)^2"),
        (_rule(f, 0.0, 1.0, n_nodes), "mu and sigma have no effect: z is not ε"),
        (np.mean(f(mu + sigma * eps[:, 0])), "all nodes count the same: quadrature has weights, too"),
        (np.sum(f(mu + sigma * eps[:, 0])), "f is added up over the nodes without their weights"),
        (f(mu), "that is f at the mean of z, not the mean of f(z)"),
        (weights.max() * np.sum(f(mu + sigma * eps[:, 0])), "one weight is used for all nodes"),
    )
    for value, message in mistakes:
        if close(got, value):
            raise Wrong(f"{message} ({where})")
    if any(close(got, _rule(f, mu, sigma, n)) for n in (n_nodes - 1, n_nodes + 1, 2 * n_nodes, 64) if n > 0):
        raise Wrong(f"this is what another number of nodes than {n_nodes} gives ({where})")
    if abs(got - _rule(f, mu, sigma, 64)) < 0.05 * abs(right):
        raise Wrong(f"close, but not what {n_nodes} nodes give, {off(got, right)}: are these draws? ({where})")
    raise Wrong(f"{off(got, right)} {where}: try f = 1, f = z and f = (z - mu)^2, whose means you know")


def nats_given_away(answer):
    """Judge what the best diagonal q gives away of the bound; the truth is log p(x) less the bound.

    Parameters
    ----------
    answer : callable
        (W, s) -> float.

    Raises
    ------
    Wrong
        Where it is off, or not 0 where the posterior is diagonal.
    """
    rng = np.random.default_rng(7)
    for W, s in [(rng.standard_normal(shape), s) for shape, s in SHAPES]:
        right = _gap(W, s)
        got = array(call(answer, W.copy(), s))
        if not close(got, right):
            raise Wrong(f"{_gap_mistake(got, right, W, s)} (W of shape {W.shape}, s = {s})")
    for W in (np.array([[0.0, 1.7], [-0.4, 0.0], [1.2, 0.0]]), np.array([[1.5], [-0.3]])):
        if abs(array(call(answer, W, 0.7))) > 1e-4:
            raise Wrong(f"where the posterior is diagonal, nothing is given away: W = {W.tolist()}")


def _gap(W, s):
    """log p(x) less the bound at the best diagonal q, nats; the same for every x."""
    model, x = LinearGaussian(W=W, m=np.zeros(len(W)), s=s), np.ones((1, len(W)))
    return (model.log_likelihood(x) - model.elbo(model.best(x), x))[0]


def _kl(cov, P):
    """KL(N(0, cov) || N(0, P)), nats."""
    log_dets = np.linalg.slogdet(P)[1] - np.linalg.slogdet(cov)[1]
    return 0.5 * (np.trace(np.linalg.solve(P, cov)) - len(P) + log_dets)


def _gap_mistake(got, right, W, s):
    """What is wrong with a gap, in words."""
    cov = LinearGaussian(W=W, m=np.zeros(len(W)), s=s).posterior(np.zeros((1, len(W))))[1]
    best, margins = np.diag(1 / np.diag(np.linalg.inv(cov))), np.diag(np.diag(cov))
    noise = "s is the standard deviation of the noise: look at how it enters the posterior"
    mistakes = (
        (2 * right, "twice what it should be: look at the factors of the log-densities"),
        (-right, "the sign is wrong: a KL is never negative"),
        (_kl(margins, cov), "a q as wide as the posterior's own coordinates is not the best one: look at 'too narrow'"),
        (
            _kl(cov, margins),
            "that is KL(posterior || q), with the q that is best for it: the bound holds the other one",
        ),
        (_kl(cov, best), "q is the right one, the KL is taken in the wrong direction"),
        (_kl(best, np.eye(len(best))), "that is a KL to the prior: what is given away is to the posterior"),
        (_kl(cov, np.eye(len(best))), "that is a KL of the posterior to the prior: where is q?"),
        (_gap(W, np.sqrt(s)), noise),
        (_gap(W, s**2), noise),
        (_gap(W, 1.0), "the width of the noise has no effect"),
        (_gap(W, 1 / s), "less noise must give a narrower posterior, here it is wider"),
        (_without_prior(W, s), "the posterior has no prior in it: z ~ N(0, I) makes it narrower"),
        (right / np.log(2), "this is in bits, not nats"),
        (0.0, "0 only where the posterior is diagonal: here it is not"),
    )
    for value, message in mistakes:
        if np.isfinite(value) and abs(got - value) < 1e-4 * max(abs(value), right):
            return message
    return f"{off(got, right)}: try W = [[1, 1]], s = 1/2 first, which the lesson has"


def _without_prior(W, s):
    """The gap if the posterior were the likelihood alone; NaN where that has no width."""
    precision = W.T @ W / s**2
    sign, log_det = np.linalg.slogdet(precision)
    return 0.5 * (np.log(np.diag(precision)).sum() - log_det) if sign > 0 and log_det > -20 else np.nan


def mutual_information(answer):
    """Judge the mutual information of images and their codes, K = 1.

    Parameters
    ----------
    answer : callable
        (mu, logvar) -> float.

    Raises
    ------
    Wrong
        Where it is off by more than 1e-3 nats.
    """
    cases = (
        ([-0.5, 0.6], [-1.0, -0.4]),
        ([0.2, 1.4, -2.3, 3.1, -0.7], [-1.2, -4.2, 0.3, -2.5, 1.1]),
        ([0.0, 0.3, 0.6], [0.2, 0.1, -0.4]),
        ([0.8], [-1.5]),
        ([-3.8, -1.6, 0.1, 1.5, 3.6, 3.7], [-4.5, -3.9, -4.2, -4.4, -3.5, -4.1]),
    )
    for case in cases:
        mu, logvar = np.array(case)
        parts = _parts(mu, logvar)
        got = array(call(answer, mu, logvar))
        if abs(got - parts["information"]) > 1e-3:
            raise Wrong(f"{_information_mistake(got, mu, logvar, parts)} (B = {len(mu)})")


def _parts(mu, logvar):
    """The rate of codes, its two parts, and what goes into them: {name: nats}, on a fine grid."""
    std = np.exp(logvar / 2)
    z = np.arange(mu.min() - 12 * std.max(), mu.max() + 12 * std.max(), std.min() / 8)
    each = -0.5 * (((z - mu[:, None]) / std[:, None]) ** 2 + logvar[:, None] + np.log(2 * np.pi))  # B, G: log q(z|x)
    together = np.logaddexp.reduce(each, axis=0) - np.log(len(mu))
    prior = -0.5 * (z**2 + np.log(2 * np.pi))
    step, density, aggregate = z[1] - z[0], np.exp(each), np.exp(together)
    by_image = (density * (each - together)).sum(axis=1) * step
    mean, spread = mu.mean(), np.mean(std**2) + mu.var()
    normal = -0.5 * ((z - mean) ** 2 / spread + np.log(2 * np.pi * spread))
    return {
        "information": by_image.mean(),
        "sum": by_image.sum(),
        "rate": (density * (each - prior)).sum(axis=1).mean() * step,
        "mismatch": (aggregate * (together - prior)).sum() * step,
        "mean of logs": (density * (each - each.mean(axis=0))).sum(axis=1).mean() * step,
        "one gaussian": (density * (each - normal)).sum(axis=1).mean() * step,
        "entropy": -(aggregate * together).sum() * step,
        "own entropy": -(density * each).sum(axis=1).mean() * step,
        "added": (density * (each - together - np.log(len(mu)))).sum(axis=1).mean() * step,
        "reverse": (aggregate * (together - each)).sum(axis=1).mean() * step,
    }


def _information_mistake(got, mu, logvar, parts):
    """What is wrong with a mutual information, in words."""
    right = parts["information"]
    mistakes = (
        (parts["rate"], "that is the rate, the mean KL to the prior: it holds a second part, the aggregate's own KL"),
        (parts["mismatch"], "that is how far the aggregate is from the prior: the other part of the rate"),
        (parts["mean of logs"], "the logarithm is of a mean of densities, not the mean of their logarithms"),
        (parts["one gaussian"], "q(z) is no Gaussian: it is a mixture of all codes, which has peaks"),
        (_parts(mu, 2 * logvar)["information"], "logvar is read as the logarithm of a standard deviation"),
        (_parts(mu, logvar / 2)["information"], "logvar is halved once too often: what is exp(logvar)?"),
        (right / np.log(2), "this is in bits, not nats"),
        (-right, "the sign is wrong: information is never negative"),
        (parts["sum"], "added up over the images: all are equally likely, it is a mean"),
        (parts["entropy"], "that is the entropy of the aggregate alone: what does a known image leave to be known?"),
        (parts["own entropy"], "that is the mean entropy of a code, which says nothing of the other images"),
        (parts["added"], "q(z) is a mean over images and has to integrate to 1: it is a sum here"),
        (parts["reverse"], "the average is over draws from q(z), it has to be over each image's own code"),
        (np.log(len(mu)), "that is the most that B images can have, where no codes overlap; these do"),
    )
    for value, message in mistakes:
        if abs(got - value) < 1e-3:
            return message
    if abs(got - right) < 0.1:
        inexact = "too few nodes or draws, or a grid that is too short, or coarse for the narrowest code"
        return f"off by {abs(got - right):.1g} nats: {inexact}"
    return f"{off(got, right)}: try one image (0 nats), and two whose codes never overlap"
