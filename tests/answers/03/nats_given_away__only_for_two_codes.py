# expects: off by|expected
import numpy as np


def nats_given_away(W, s):
    precision = np.eye(W.shape[1]) + W.T @ W / s**2
    rho = precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
    return -0.5 * np.log(1 - rho**2)
