# expects: E_q\[log q\] stands
import numpy as np


def bound_and_gap(x, gain, s, mu, var):
    elbo = -0.5 * np.log(2 * np.pi * np.e * var) - (var + mu**2 - 1 - np.log(var)) / 2
    v = gain**2 + s**2
    return elbo, -0.5 * (x**2 / v + np.log(2 * np.pi * v)) - elbo
