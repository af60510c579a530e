# expects: standard deviation of the noise
import numpy as np


def nats_given_away(W, s):
    precision = np.eye(W.shape[1]) + W.T @ W / s
    return 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
