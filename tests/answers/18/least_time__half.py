# expects: off by 50%
import numpy as np


def least_time(operations, n_bytes, peak, bandwidth):
    calculating, moving = 1e-6 * operations / peak, 1e-6 * n_bytes / bandwidth
    return np.maximum(calculating, moving) / 2
