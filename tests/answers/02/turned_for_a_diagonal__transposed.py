# expects: or its transpose
import numpy as np


def turned_for_a_diagonal(W):
    return W @ np.linalg.svd(W)[2]
