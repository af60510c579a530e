import numpy as np


def draw_codes(mu, log_sigma, eps):
    return mu + np.exp(log_sigma) * eps


def kl_and_slopes(mu, log_sigma):
    variance = np.exp(2 * log_sigma)
    kl = (mu**2 + variance - 1 - 2 * log_sigma).sum(axis=1) / 2
    return kl, mu, variance - 1


def score_of_codes(mu, log_sigma, z):
    sigma = np.exp(log_sigma)
    eps = (z - mu) / sigma
    return eps / sigma, eps**2 - 1
