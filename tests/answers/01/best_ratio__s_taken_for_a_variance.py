# expects: s is taken for a variance
import numpy as np


def best_ratio(v, s):
    return np.sqrt(max(v / s - 1, 0))
