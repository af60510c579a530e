# expects: the gap: .*order of its arguments
import numpy as np


def bound_and_gap(x, gain, s, mu, var):
    given = -((x - gain * mu) ** 2 + gain**2 * var) / (2 * s**2) - 0.5 * np.log(2 * np.pi * s**2)
    elbo = given - (var + mu**2 - 1 - np.log(var)) / 2
    at, width = gain * x / (gain**2 + s**2), s**2 / (gain**2 + s**2)
    return elbo, ((width + (mu - at) ** 2) / var - 1 - np.log(width / var)) / 2
