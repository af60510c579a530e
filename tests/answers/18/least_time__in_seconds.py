# expects: right roof, but it is in seconds
import numpy as np


def least_time(operations, n_bytes, peak, bandwidth):
    calculating, moving = 1e-6 * operations / peak, 1e-6 * n_bytes / bandwidth
    return 1e-3 * np.maximum(calculating, moving)
