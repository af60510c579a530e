# expects: L_4 itself
import numpy as np


def gap_of_four(mu, s):
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    weights = weights / weights.sum()
    z = mu + s * nodes
    w = s * np.exp((nodes**2 - (1 - z) ** 2 - z**2) / 2) / np.sqrt(2 * np.pi)
    pairs, pair_weights = np.add.outer(w, w).ravel(), np.multiply.outer(weights, weights).ravel()
    return pair_weights @ np.log(np.add.outer(pairs, pairs) / 4) @ pair_weights
