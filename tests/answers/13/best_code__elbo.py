# expects: the objective at .* where is beta
import numpy as np


def best_code(x, beta, w, t):
    precision = 1 + w**2 / (beta * t**2)
    mu, sigma = w * x / (beta * t**2) / precision, precision**-0.5
    inside = -np.log(2 * np.pi * t**2) / 2 - ((x - w * mu) ** 2 + (w * sigma) ** 2) / (2 * t**2)
    kl = (mu**2 + sigma**2 - 1) / 2 - np.log(sigma)
    return mu, sigma, inside - kl
