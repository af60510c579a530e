# expects: largest cosine
import numpy as np


def turned_for_a_diagonal(W):
    if W.shape[1] == 1:
        return W
    turn = np.eye(W.shape[1])
    turn[:2, :2] = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    return W @ turn
