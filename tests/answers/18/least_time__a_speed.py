# expects: operations a second, not a time
import numpy as np


def least_time(operations, n_bytes, peak, bandwidth):
    return np.minimum(peak, operations / n_bytes * bandwidth)
