# expects: off by .*K = 1
import numpy as np


def log10_prior_draws(x, gain, s):
    z = np.random.default_rng(0).standard_normal((1000, len(x)))
    w = np.exp(-0.5 * ((x - gain * z) ** 2 / s**2).sum(axis=1))
    return np.log10((w**2).mean() / w.mean() ** 2)
