# expects: peak for bandwidth
import numpy as np


def least_time(operations, n_bytes, peak, bandwidth):
    return 1e-6 * np.maximum(operations / bandwidth, n_bytes / peak)
