# expects: logarithm of a standard deviation
import numpy as np


def log_acceptance(x, z, z_new, mu, logvar, W, m, s):
    def log_w(z):
        data = ((x - z @ W.T - m) ** 2).sum(axis=1) / s**2
        return -0.5 * (data + (z**2).sum(axis=1) - ((z - mu) ** 2 / np.exp(logvar) ** 2).sum(axis=1))

    return log_w(z_new) - log_w(z)
