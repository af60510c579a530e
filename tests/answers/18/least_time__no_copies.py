# expects: only copies
import numpy as np


def least_time(operations, n_bytes, peak, bandwidth):
    return 1e-6 * operations / np.minimum(peak, operations / n_bytes * bandwidth)
