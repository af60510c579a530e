# expects: summed over the batch
import numpy as np


def noisy_code_gradient(mu, logvar, eps, dz, beta):
    sigma = np.exp(logvar / 2)
    return dz + beta * mu, dz * eps * sigma / 2 + beta * (sigma**2 - 1) / 2
