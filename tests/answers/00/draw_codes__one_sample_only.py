# expects: has shape
import numpy as np


def draw_codes(mu, log_sigma, eps):
    return mu + np.exp(log_sigma) * eps[0]
