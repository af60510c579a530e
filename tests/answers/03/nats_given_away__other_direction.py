# expects: wrong direction
import numpy as np


def nats_given_away(W, s):
    precision = np.eye(W.shape[1]) + W.T @ W / s**2
    q = 1 / np.diag(precision)
    cov = np.linalg.inv(precision)
    return 0.5 * (np.diag(cov) @ (1 / q) - len(q) + np.log(q).sum() - np.linalg.slogdet(cov)[1])
