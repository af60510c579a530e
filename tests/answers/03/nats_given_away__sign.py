# expects: never negative
import numpy as np


def nats_given_away(W, s):
    precision = np.eye(W.shape[1]) + W.T @ W / s**2
    return 0.5 * (np.linalg.slogdet(precision)[1] - np.log(np.diag(precision)).sum())
