# expects: standard deviation, and is read as a variance
import numpy as np


def log10_prior_draws(x, gain, s):
    v, u = gain**2 + s, gain**2 + s / 2
    return (np.log(v / np.sqrt(2 * s * u)) + x**2 / v - x**2 / (2 * u)).sum() / np.log(10)
