# expects: v has no effect
import numpy as np


def best_ratio(v, s):
    return np.sqrt(max(1 / s**2 - 1, 0))
