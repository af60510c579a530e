# expects: not the best one
import numpy as np


def nats_given_away(W, s):
    precision = np.eye(W.shape[1]) + W.T @ W / s**2
    q = np.diag(np.linalg.inv(precision))
    return 0.5 * (np.diag(precision) @ q - len(q) - np.linalg.slogdet(precision)[1] - np.log(q).sum())
