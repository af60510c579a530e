# expects: a root is missing
import numpy as np


def whiten(codes):
    C = np.atleast_2d(np.cov(codes.T))
    return codes.mean(axis=0), np.linalg.inv(C), C
