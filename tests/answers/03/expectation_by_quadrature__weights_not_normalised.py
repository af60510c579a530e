# expects: do not add up to 1
import numpy as np


def expectation_by_quadrature(f, mu, sigma, n_nodes):
    x, w = np.polynomial.hermite_e.hermegauss(n_nodes)
    return w @ f(mu + sigma * x)
