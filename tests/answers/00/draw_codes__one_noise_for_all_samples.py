# expects: share one noise
import numpy as np


def draw_codes(mu, log_sigma, eps):
    return mu + np.exp(log_sigma) * np.broadcast_to(eps[0], eps.shape)
