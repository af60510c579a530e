# expects: lengths of the columns are lost
import numpy as np


def turned_for_a_diagonal(W):
    return np.linalg.svd(W, full_matrices=False)[0]
