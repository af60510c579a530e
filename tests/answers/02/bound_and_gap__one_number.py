# expects: must have 2 parts
import numpy as np


def bound_and_gap(x, gain, s, mu, var):
    v = gain**2 + s**2
    return -0.5 * (x**2 / v + np.log(2 * np.pi * v))
