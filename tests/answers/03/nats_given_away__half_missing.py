# expects: twice
import numpy as np


def nats_given_away(W, s):
    precision = np.eye(W.shape[1]) + W.T @ W / s**2
    return np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1]
