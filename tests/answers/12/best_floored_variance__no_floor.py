# expects: no floor
import numpy as np


def best_floored_variance(errors, floor):
    v = (errors**2).mean(axis=0)
    return v, 0.5 * np.log(2 * np.pi * np.e * np.maximum(v, 1e-300)).sum()
