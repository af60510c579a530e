"""Sayings that lesson 00 answers: each number computed again from the package."""

import numpy as np

import tinyvae as tv


def saying_1():
    """z = mu + sigma^2 eps: the draws' variance would be sigma^4."""
    sigma = 0.5
    nodes, weights = tv.check.gauss_hermite(10, 1)  # n, 1; n
    q = tv.DiagonalGaussian(np.zeros((1, 1)), np.full((1, 1), 2 * np.log(sigma)))
    right, printed = q.sample(nodes[:, None])[:, 0, 0], sigma**2 * nodes[:, 0]  # n; n
    assert abs(weights @ right**2 - 0.25) < 1e-12
    assert abs(weights @ printed**2 - 0.0625) < 1e-12


def saying_2():
    """-beta sum (1 + log s^2 - mu^2 - s^2) as a part of the bound: it is +2 beta KL."""
    rng = np.random.default_rng(0)
    mu, logvar = rng.standard_normal((2, 5, 3))  # B, K; B, K
    printed = -(1 + logvar - mu**2 - np.exp(logvar)).sum(axis=1)  # B
    assert np.allclose(printed, 2 * tv.DiagonalGaussian(mu, logvar).kl(), rtol=1e-12)
    kl = tv.DiagonalGaussian(np.array([[1.0]]), np.array([[0.0]])).kl()
    assert abs(kl[0] - 0.5) < 1e-12 and abs(-(1 - 1 - 1) - 1.0) < 1e-12
