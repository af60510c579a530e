# expects: gap of 2, not of four
import numpy as np


def gap_of_four(mu, s):
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    weights = weights / weights.sum()
    z = mu + s * nodes
    w = np.exp((nodes**2 - (1 - z) ** 2 - z**2) / 2)
    w = w / (weights @ w)
    return -weights @ np.log(np.add.outer(w, w) / 2) @ weights
