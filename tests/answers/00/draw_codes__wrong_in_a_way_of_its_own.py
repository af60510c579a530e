# expects: off by
import numpy as np


def draw_codes(mu, log_sigma, eps):
    return mu + np.sin(log_sigma) * eps
