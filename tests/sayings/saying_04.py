"""Sayings that lesson 04 answers: each number computed again from the package."""

import numpy as np

from tinyvae import check


def saying_24():
    """A gradient check shows that the code is right: it passes for z = mu + sigma^2 eps, whose variance is sigma^4."""
    rng = np.random.default_rng(0)
    eps = rng.standard_normal(5)  # K

    def wrong_model(flat):
        mu, logvar = np.split(flat, 2)  # K each
        z = mu + np.exp(logvar) * eps
        kl = (mu**2 + np.exp(logvar) - 1 - logvar) / 2
        dz = np.cos(z)
        return (np.sin(z) + kl).sum(), np.concatenate([dz + mu, dz * np.exp(logvar) * eps + (np.exp(logvar) - 1) / 2])

    assert check.gradients(wrong_model, rng.standard_normal(10)).error < 1e-9
    nodes, weights = check.gauss_hermite(10, 1)
    assert abs(weights @ (np.exp(2 * np.log(0.5)) * nodes[:, 0]) ** 2 - 0.0625) < 1e-12
