# expects: read as if it were log σ²
import numpy as np


def draw_codes(mu, log_sigma, eps):
    return np.exp(log_sigma / 2) * eps + mu
