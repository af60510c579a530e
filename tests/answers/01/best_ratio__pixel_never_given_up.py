# expects: worth its code
import numpy as np


def best_ratio(v, s):
    with np.errstate(invalid="ignore"):
        return np.sqrt(np.float64(v / s**2 - 1))
