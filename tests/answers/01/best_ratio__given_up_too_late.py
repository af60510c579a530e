# expects: not the least loss
import numpy as np


def best_ratio(v, s):
    return np.sqrt(abs(v / s**2 - 1))
