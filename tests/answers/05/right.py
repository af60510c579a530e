import numpy as np

import tinyvae as tv


def variance_of_a_quartic(mu, sigma):
    eps, weights = tv.check.gauss_hermite(12, 1)
    eps = eps[:, 0]
    z = mu + sigma * eps
    mean = weights @ (4 * z**3)
    return weights @ (z**4 * eps / sigma - mean) ** 2, weights @ (4 * z**3 - mean) ** 2


def variance_of_leave_one_out(a, sigma, n_samples):
    return 8 * a**2 + 10 * sigma**2 + (8 * a**2 + 2 * sigma**2) / (n_samples - 1)


def quieter_step(q, target, eps, objective=None, rng=None):
    z = q.sample(eps)
    f = target(z)
    return tv.Draws(f, (f - 0.5)[..., np.newaxis] * q.score(z))
