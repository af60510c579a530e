# expects: sign is wrong and the factor
import numpy as np


def kl_and_slopes(mu, log_sigma):
    return (1 + 2 * log_sigma - mu**2 - np.exp(2 * log_sigma)).sum(axis=1), mu, np.exp(2 * log_sigma) - 1
