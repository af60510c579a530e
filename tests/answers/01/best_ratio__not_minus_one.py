# expects: root of 1 \+ r
import numpy as np


def best_ratio(v, s):
    return np.sqrt(v) / s
