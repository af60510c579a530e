"""Sayings that lesson 05 answers: each number computed again from the package."""

import numpy as np

import tinyvae as tv
from tinyvae import check


def saying_21():
    """The score function for any q: with z uniform on (0, c) and f = z^2 it gives -c/3, and the truth is 2c/3."""
    nodes, weights = np.polynomial.legendre.leggauss(8)  # n; n
    u, weights = (nodes + 1) / 2, weights / 2  # of (0, 1)
    for c in (0.5, 2.0):
        score_function = weights @ ((c * u) ** 2 * (-1 / c))
        reparameterization = weights @ (2 * (c * u) * u)
        truth = (weights @ ((c + 1e-4) * u) ** 2 - weights @ ((c - 1e-4) * u) ** 2) / 2e-4
        assert abs(score_function + c / 3) < 1e-12 and abs(reparameterization - 2 * c / 3) < 1e-12
        assert abs(truth - 2 * c / 3) < 1e-9


def saying_22():
    """The reparameterization where f has a slope almost everywhere: 0 for .242 at a jump."""
    q = tv.DiagonalGaussian(np.ones((1, 1)), np.zeros((1, 1)))
    jump = tv.Target(lambda z: (z[..., 0] > 0).astype("float64"), np.zeros_like)
    eps = q.noise(np.random.default_rng(0), 100_000)  # S, B, K
    truth = np.exp(-0.5) / np.sqrt(2 * np.pi)
    assert abs(truth - 0.242) < 5e-4
    assert not tv.estimators.reparameterization(q, jump, eps).dparams.any()
    draws = tv.estimators.score_function(q, jump, eps).dmu  # S, B, K
    assert abs(draws.mean() - truth) < 5 * draws.std() / np.sqrt(draws.size)


def saying_23():
    """E[f] as the best constant baseline: 138 with E[f] = 17, 134 with b* = 19."""
    bowl = tv.problems.make("quadratic")
    variances = {}
    for b in (16.0, 17.0, 18.0, 19.0, 20.0):
        estimator = tv.estimators.make("constant_baseline", value=b)
        variances[b] = check.exact_mean(estimator, bowl.q, bowl.target)[1][0, 0]
    loss, _ = check.exact_loss(bowl.q, bowl.target)
    assert abs(loss[0] - 17) < 1e-9
    assert abs(variances[17.0] - 138) < 1e-9 and abs(variances[19.0] - 134) < 1e-9
    assert min(variances, key=variances.get) == 19.0
