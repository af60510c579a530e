# expects: the ELBO: the KL to the prior lacks its factor
import numpy as np


def bound_and_gap(x, gain, s, mu, var):
    given = -((x - gain * mu) ** 2 + gain**2 * var) / (2 * s**2) - 0.5 * np.log(2 * np.pi * s**2)
    elbo = given - (var + mu**2 - 1 - np.log(var))
    v = gain**2 + s**2
    return elbo, -0.5 * (x**2 / v + np.log(2 * np.pi * v)) - elbo
