# expects: log sigma
import numpy as np


def noisy_code_gradient(mu, logvar, eps, dz, beta):
    sigma = np.exp(logvar)
    return dz + beta * mu / len(mu), dz * eps * sigma + beta * (sigma**2 - 1) / len(mu)
