# expects: pull to variance 1 is missing
import numpy as np


def best_noise(slopes, s):
    variances = s**2 / np.maximum((slopes**2).sum(axis=0), 1e-300)
    return np.log(variances), -np.log(variances) / 2
