# expects: minus sign
import numpy as np


def draw_codes(mu, log_sigma, eps):
    return mu - np.exp(log_sigma) * eps
