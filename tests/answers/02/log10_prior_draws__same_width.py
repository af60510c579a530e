# expects: as wide as the density
import numpy as np


def log10_prior_draws(x, gain, s):
    v = gain**2 + s**2
    log_first = -0.5 * (x**2 / v + np.log(2 * np.pi * v))
    log_second = log_first - np.log(2 * s * np.sqrt(np.pi))
    return (log_second - 2 * log_first).sum() / np.log(10)
