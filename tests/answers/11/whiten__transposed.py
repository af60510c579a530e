# expects: wrong way round
import numpy as np


def whiten(codes):
    root = np.linalg.cholesky(np.atleast_2d(np.cov(codes.T)))
    return codes.mean(axis=0), np.linalg.inv(root), root
