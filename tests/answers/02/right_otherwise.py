"""Right answers, written in another way: loops, lists, single precision, arguments overwritten."""

import math

import numpy as np


def log10_prior_draws(x, gain, s):
    total = 0.0
    for one, a, noise in zip(x, gain, s):
        # log E[w] and log E[w^2], w^2 being N(x; a z, noise^2 / 2) / (2 noise sqrt(pi))
        v, u = a * a + noise**2, a * a + noise**2 / 2
        first = -0.5 * (one**2 / v + math.log(2 * math.pi * v))
        second = -0.5 * (one**2 / u + math.log(2 * math.pi * u)) - math.log(2 * noise * math.sqrt(math.pi))
        total += second - 2 * first
    x[:] = 0
    return np.float32(total / math.log(10))


def bound_and_gap(x, gain, s, mu, var):
    v = gain**2 + s**2
    log_px = -0.5 * (x**2 / v + np.log(2 * np.pi * v))
    width = s**2 / v
    gap = 0.5 * (var / width + (mu - width * gain * x / s**2) ** 2 / width - 1 + np.log(width) - np.log(var))
    mu *= 0
    return [list(log_px - gap), gap.astype("float32")]


def turned_for_a_diagonal(W):
    _, turn = np.linalg.eigh(W.T @ W)
    W = (W @ turn).astype("float32")
    return (-W).tolist()
