# expects: read as if it were log σ²
import numpy as np


def kl_and_slopes(mu, log_sigma):
    return (mu**2 + np.exp(log_sigma) - 1 - log_sigma).sum(axis=1) / 2, mu, (np.exp(log_sigma) - 1) / 2
