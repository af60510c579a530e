# expects: its mean over draws is
import numpy as np


def score_of_codes(mu, log_sigma, z):
    return (z - mu) / np.exp(2 * log_sigma) + 0.3, ((z - mu) / np.exp(log_sigma)) ** 2 - 1
