# expects: read as if it were log σ²
import numpy as np


def score_of_codes(mu, log_sigma, z):
    return (z - mu) / np.exp(log_sigma), ((z - mu) ** 2 / np.exp(log_sigma) - 1) / 2
