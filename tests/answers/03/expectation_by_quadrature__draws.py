# expects: are these draws|asked at|off by
import numpy as np


def expectation_by_quadrature(f, mu, sigma, n_nodes):
    return f(mu + sigma * np.random.default_rng(0).standard_normal(100_000)).mean()
