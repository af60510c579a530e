# expects: x's covariance is off by
import numpy as np


def turned_for_a_diagonal(W):
    U, lengths, _ = np.linalg.svd(W, full_matrices=False)
    return U * lengths**2
