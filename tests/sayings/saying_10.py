"""A saying that lesson 10 answers: its number computed again from the package."""

import numpy as np

import tinyvae as tv


def saying_15():
    """The negative log-likelihood called the reconstruction loss: 1.5155 against 1.2939 where q is the posterior."""
    q = tv.DiagonalGaussian(np.array([[0.5]]), np.log([[0.5]]))  # the posterior of z ~ N(0, 1), x | z ~ N(z, 1), x = 1
    nodes, weights = tv.check.gauss_hermite(10, 1)  # n, 1; n
    z = q.sample(nodes[:, None])[:, 0, 0]  # n
    reconstruction = weights @ (0.5 * (1 - z) ** 2 + 0.5 * np.log(2 * np.pi))
    negative_log_px = 0.5 * np.log(4 * np.pi) + 0.25
    assert abs(reconstruction - 1.2939) < 5e-5 and abs(negative_log_px - 1.5155) < 5e-5
    assert abs(reconstruction + q.kl()[0] - negative_log_px) < 1e-12
