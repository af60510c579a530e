# expects: log q has a square
import numpy as np


def score_of_codes(mu, log_sigma, z):
    return (z - mu) / np.exp(log_sigma), ((z - mu) / np.exp(log_sigma)) ** 2 - 1
