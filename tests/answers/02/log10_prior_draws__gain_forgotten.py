# expects: the gain is missing
import numpy as np


def log10_prior_draws(x, gain, s):
    v, u = 1 + s**2, 1 + s**2 / 2
    return (np.log(v / (s * np.sqrt(2 * u))) + x**2 / v - x**2 / (2 * u)).sum() / np.log(10)
