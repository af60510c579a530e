"""Judges of lesson 03: quadrature, the KL of two Gaussians, the mutual information of codes."""

import numpy as np

from tinyvae.distributions.gaussian import gauss_hermite
from tinyvae.exercises.contract import Wrong, array, call, close, off

__all__ = ["expectation_by_quadrature", "kl_of_two_gaussians", "mutual_information"]


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


def kl_of_two_gaussians(answer):
    """Judge the KL of two Gaussians with full covariances; the truth is from quadrature.

    Parameters
    ----------
    answer : callable
        (mu, cov, m, P) -> float.

    Raises
    ------
    Wrong
        Where it is off, or not 0 between equal ones.
    """
    rng = np.random.default_rng(7)
    cases = [(np.array([0.3]), np.array([[0.49]]), np.array([-1.0]), np.array([[3.6]]))]
    for n_latents in (2, 3, 2):
        a, b = rng.standard_normal((2, n_latents, n_latents + 2))
        means = rng.standard_normal((2, n_latents))
        cases.append((means[0], a @ a.T / 3, means[1], b @ b.T / 2))
    for mu, cov, m, P in cases:
        right = _kl_from_nodes(mu, cov, m, P)
        got = array(call(answer, mu, cov, m, P))
        if not close(got, right):
            raise Wrong(f"{_kl_mistake(got, right, mu, cov, m, P)} (K = {len(mu)})")
    mu, cov = cases[1][:2]
    got = array(call(answer, mu, cov, mu, cov))
    if abs(got) > 1e-4:
        raise Wrong("the KL of a Gaussian to itself is not 0")


def _log_density(z, mean, cov):
    """log N(z; mean, cov), nats. z (N, K) -> (N,)."""
    away = z - mean
    return -0.5 * ((away @ np.linalg.inv(cov) * away).sum(axis=1) + np.linalg.slogdet(2 * np.pi * cov)[1])


def _kl_from_nodes(mu, cov, m, P):
    """KL(N(mu, cov) || N(m, P)): E_q[log q - log p], a polynomial of degree 2 in each noise, at two nodes in each."""
    eps, weights = gauss_hermite(2, len(mu))
    z = mu + eps @ np.linalg.cholesky(cov).T
    return weights @ (_log_density(z, mu, cov) - _log_density(z, m, P))


def _kl_mistake(got, right, mu, cov, m, P):
    """What is wrong with a KL, in words."""
    away, n, inverse = mu - m, len(mu), np.linalg.inv(P)
    trace, square = np.trace(inverse @ cov), away @ inverse @ away
    log_dets = np.linalg.slogdet(P)[1] - np.linalg.slogdet(cov)[1]
    mistakes = (
        (_kl_from_nodes(m, P, mu, cov), "that is KL(p || q): the average is over draws from the first Gaussian"),
        (2 * right, "twice what it should be: look at the factors of the two log-densities"),
        (-right, "the sign is wrong: a KL is never negative"),
        (right - log_dets, "a log-determinant has the wrong sign: which of the two is large for a wide p?"),
        (right - log_dets / 2, "the determinants are missing: a wide p is penalised nowhere"),
        (right + log_dets / 2, "the log-determinants count too much: of variances, or of standard deviations?"),
        (right + n / 2, "q = p does not give 0: what is left of E[εᵀ ε]?"),
        (right + (n - 1) / 2, "what is taken off does not grow with K: what is E[εᵀ ε] in K dimensions?"),
        (right - square / 2, "the distance of the two means has no effect"),
        (right + square / 2, "the distance of the means counts twice"),
        (
            right - trace / 2,
            "the width of q, as p sees it, has no effect: what does the noise add to (z - m)ᵀ P⁻¹ (z - m)?",
        ),
        (
            right + (away @ np.linalg.inv(cov) @ away - square) / 2,
            "the means' distance is measured with the wrong covariance",
        ),
        (right + (np.trace(np.linalg.inv(cov) @ P) - trace) / 2, "in the trace the wrong covariance is inverted"),
        (right + (away @ away - square) / 2, "the means' distance does not depend on how wide p is"),
        (
            right + (away @ P @ away - square) / 2,
            "a covariance is not inverted where the distance of the means is measured",
        ),
        (right + (np.trace(P @ cov) - trace) / 2, "a covariance is not inverted in the trace"),
        (
            _kl_from_nodes(mu, np.diag(np.diag(cov)), m, np.diag(np.diag(P))),
            "only the diagonals are used: what lies beside them counts, too",
        ),
        (
            right + (np.sum(cov / P) - trace) / 2,
            "the trace is of a division element by element: that is no inverse of a matrix",
        ),
        (_kl_from_nodes(mu, cov @ cov, m, P @ P), "the covariances are treated as standard deviations"),
        (right / np.log(2), "this is in bits, not nats"),
    )
    for value, message in mistakes:
        if close(got, value):
            return message
    return f"{off(got, right)} at means {np.round(mu, 2)} and {np.round(m, 2)}: try equal Gaussians, then K = 1 by hand"


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
