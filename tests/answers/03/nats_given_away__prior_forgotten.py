# expects: no prior in it
import numpy as np


def nats_given_away(W, s):
    precision = W.T @ W / s**2
    return 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
