# expects: another bell
import numpy as np


def expectation_by_quadrature(f, mu, sigma, n_nodes):
    x, w = np.polynomial.hermite.hermgauss(n_nodes)
    return w / w.sum() @ f(mu + sigma * x)
