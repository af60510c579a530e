# expects: does not give 0
import numpy as np


def kl_of_two_gaussians(mu, cov, m, P):
    inverse = np.linalg.inv(P)
    log_dets = np.linalg.slogdet(P)[1] - np.linalg.slogdet(cov)[1]
    return 0.5 * (np.trace(inverse @ cov) + (mu - m) @ inverse @ (mu - m) + log_dets)
