# expects: expected a number
import numpy as np


def kl_of_two_gaussians(mu, cov, m, P):
    return np.linalg.inv(P) @ cov
