"""Right answers."""

import numpy as np


def log10_prior_draws(x, gain, s):
    v, u = gain**2 + s**2, gain**2 + s**2 / 2
    return (np.log(v / (s * np.sqrt(2 * u))) + x**2 / v - x**2 / (2 * u)).sum() / np.log(10)


def bound_and_gap(x, gain, s, mu, var):
    given = -((x - gain * mu) ** 2 + gain**2 * var) / (2 * s**2) - 0.5 * np.log(2 * np.pi * s**2)
    elbo = given - (var + mu**2 - 1 - np.log(var)) / 2
    at, width = gain * x / (gain**2 + s**2), s**2 / (gain**2 + s**2)
    return elbo, ((var + (mu - at) ** 2) / width - 1 - np.log(var / width)) / 2


def turned_for_a_diagonal(W):
    return W @ np.linalg.svd(W)[2].T
