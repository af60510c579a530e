# expects: that is the KL alone
import numpy as np


def best_noise(slopes, s):
    precision = 1 + (slopes**2).sum(axis=0) / s**2
    return -np.log(precision), 0.5 * (1 / precision - 1 + np.log(precision))
