# expects: half
import numpy as np


def noisy_code_gradient(mu, logvar, eps, dz, beta):
    sigma = np.exp(logvar / 2)
    return dz + 2 * beta * mu / len(mu), dz * eps * sigma / 2 + beta * (sigma**2 - 1) / len(mu)
