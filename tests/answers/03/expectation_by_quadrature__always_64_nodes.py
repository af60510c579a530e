# expects: another number of nodes|asked at
import numpy as np


def expectation_by_quadrature(f, mu, sigma, n_nodes):
    x, w = np.polynomial.hermite_e.hermegauss(64)
    return w / w.sum() @ f(mu + sigma * x)
