# expects: reparameterization.s variance is off by|score function.s variance is off by
import numpy as np


def variance_of_a_quartic(mu, sigma):
    eps = np.random.default_rng(0).standard_normal(100_000)
    z = mu + sigma * eps
    return (z**4 * eps / sigma).var(), (4 * z**3).var()
