from math import comb

import numpy as np

import tinyvae as tv

MOMENTS = {0: 1, 2: 1, 4: 3, 6: 15, 8: 105, 10: 945}


def mean_square(coefficients):
    """Of sum_i c_i eps^i."""
    pairs = [(i, j) for i in coefficients for j in coefficients]
    return sum(coefficients[i] * coefficients[j] * MOMENTS.get(i + j, 0) for i, j in pairs)


def variance_of_a_quartic(mu, sigma):
    """By the moments, in float32."""
    score = {i + 1: comb(4, i) * mu ** (4 - i) * sigma ** (i - 1) for i in range(5)}
    slope = {i: 4 * comb(3, i) * mu ** (3 - i) * sigma**i for i in range(4)}
    mean = 4 * mu**3 + 12 * mu * sigma**2
    return np.array([mean_square(score) - mean**2, mean_square(slope) - mean**2], "float32")


def variance_of_leave_one_out(a, sigma, n_samples):
    """By the package, in an array of one number."""
    q = tv.DiagonalGaussian(np.array([[a]]), np.array([[2 * np.log(sigma)]]))
    bowl = tv.Target(lambda z: (z**2).sum(axis=-1))
    _, variance = tv.check.exact_mean("leave_one_out", q, bowl, n_samples=n_samples, n_nodes=5)
    return n_samples * variance[0, 0]


def quieter_step(q, target, eps, objective=None, rng=None):
    """The mean of the others as the baseline."""
    z = q.sample(eps)
    f = target(z)
    others = (f.sum(axis=0) - f) / (len(f) - 1)
    return tv.Draws(f, (f - others)[..., None] * q.score(z))
