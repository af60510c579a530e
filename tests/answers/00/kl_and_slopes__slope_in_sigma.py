# expects: slope in σ, not
import numpy as np


def kl_and_slopes(mu, log_sigma):
    return (
        (mu**2 + np.exp(2 * log_sigma) - 1 - 2 * log_sigma).sum(axis=1) / 2,
        mu,
        np.exp(log_sigma) - np.exp(-log_sigma),
    )
