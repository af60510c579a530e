# expects: on which side
import numpy as np


def turned_for_a_diagonal(W):
    return np.linalg.svd(W)[0].T @ W
