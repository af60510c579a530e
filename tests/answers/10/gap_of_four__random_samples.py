# expects: random samples need very many
import numpy as np


def gap_of_four(mu, s):
    eps = np.random.default_rng(0).standard_normal((4, 300_000))
    z = mu + s * eps
    log_w = np.log(s) - 0.5 * np.log(2 * np.pi) + (eps**2 - (1 - z) ** 2 - z**2) / 2
    return -0.5 * np.log(4 * np.pi) - 0.25 - np.log(np.exp(log_w).mean(axis=0)).mean()
