"""What lecture notes say: the rows of lesson 01, each number computed anew."""

import numpy as np

import tinyvae as tv


def saying_20():
    """A VAE is an autoencoder with noise: noise alone is bought off, the KL's price stops it at r = sqrt(1/s^2 - 1)."""
    eps, weights = tv.check.gauss_hermite(8, 2)  # n, 2: x and noise; n
    s = 0.2

    def losses(a, sigma):
        x, z = eps[:, 0], a * eps[:, 0] + sigma * eps[:, 1]  # n; n
        b = (weights @ (x * z)) / (weights @ z**2)
        q = tv.DiagonalGaussian(a * eps[:, :1], np.full((len(eps), 1), 2 * np.log(sigma)))
        error = weights @ (x - b * z) ** 2
        return error, error / (2 * s**2) + weights @ q.kl()

    for a, error in ((1.0, 0.5), (10.0, 0.0099), (100.0, 0.0001)):  # fixed noise: larger codes
        assert abs(losses(a, 1.0)[0] - 1 / (1 + a**2)) < 1e-9 and abs(1 / (1 + a**2) - error) < 5e-5
        assert abs(losses(1.0, 1 / a)[0] - 1 / (1 + a**2)) < 1e-9  # learnt noise: a smaller sigma
    grid = [(losses(r / np.sqrt(1 + r**2), 1 / np.sqrt(1 + r**2))[1], r) for r in np.arange(4.80, 5.00, 0.001)]
    assert abs(min(grid)[1] - np.sqrt(24)) < 1e-3 and abs(np.sqrt(24) - 4.90) < 0.005
    best = losses(np.sqrt(24) * s, s)[1]
    assert all(losses(np.sqrt(24) * s + da, s + ds)[1] > best for da in (-0.01, 0.01) for ds in (-0.01, 0, 0.01))


def saying_20_more_powerful():
    """A VAE is much more powerful: with linear networks it copies digits less well than PCA, for every s above 0."""
    train, test, *_ = tv.datasets.load("digits")
    train, test = train.astype("float64"), test.astype("float64")
    mean = train.mean(axis=0)
    _, singular, directions = np.linalg.svd(train - mean, full_matrices=False)
    n_latents, s = 16, 0.2
    variances = singular[:n_latents] ** 2 / len(train)  # K
    assert (variances > s**2).all()  # none is given up
    found = (test - mean) @ directions[:n_latents].T  # n, K

    def error(kept):
        return ((test - mean - (found * kept) @ directions[:n_latents]) ** 2).sum(axis=1).mean()

    # The linear VAE's copy keeps 1 - s^2 / variance of each component (Tipping & Bishop 1999).
    assert abs(error(1.0) - 0.719) < 5e-4 and abs(error(1 - s**2 / variances) - 0.893) < 5e-4
