# expects: the gap: it is the KL to the prior
import numpy as np


def bound_and_gap(x, gain, s, mu, var):
    given = -((x - gain * mu) ** 2 + gain**2 * var) / (2 * s**2) - 0.5 * np.log(2 * np.pi * s**2)
    rate = (var + mu**2 - 1 - np.log(var)) / 2
    return given - rate, rate
