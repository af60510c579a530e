# expects: for a variance
import numpy as np


def expectation_by_quadrature(f, mu, sigma, n_nodes):
    x, w = np.polynomial.hermite_e.hermegauss(n_nodes)
    return w / w.sum() @ f(mu + sigma**2 * x)
