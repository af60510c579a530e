# expects: variance of w over 2 S
import numpy as np


def gap_of_four(mu, s):
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    weights = weights / weights.sum()
    z = mu + s * nodes
    w = np.exp((nodes**2 - (1 - z) ** 2 - z**2) / 2)
    w = w / (weights @ w)
    return weights @ (w - 1) ** 2 / 8
