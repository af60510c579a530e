# expects: all nodes count the same|weights
import numpy as np


def expectation_by_quadrature(f, mu, sigma, n_nodes):
    x, w = np.polynomial.hermite_e.hermegauss(n_nodes)
    return np.mean(f(mu + sigma * x))
