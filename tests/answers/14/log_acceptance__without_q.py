# expects: q is left out
import numpy as np


def log_acceptance(x, z, z_new, mu, logvar, W, m, s):
    def log_w(z):
        return -0.5 * (np.sum((x - z @ W.T - m) ** 2, axis=1) / s**2 + np.sum(z**2, axis=1))

    return log_w(z_new) - log_w(z)
