# expects: is there a return
import numpy as np


def expectation_by_quadrature(f, mu, sigma, n_nodes):
    x, w = np.polynomial.hermite_e.hermegauss(n_nodes)
    w / w.sum() @ f(mu + sigma * x)
