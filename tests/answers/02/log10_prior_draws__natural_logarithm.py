# expects: natural logarithm
import numpy as np


def log10_prior_draws(x, gain, s):
    v, u = gain**2 + s**2, gain**2 + s**2 / 2
    return (np.log(v / (s * np.sqrt(2 * u))) + x**2 / v - x**2 / (2 * u)).sum()
