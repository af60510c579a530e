# expects: half is missing
import numpy as np


def noisy_code_gradient(mu, logvar, eps, dz, beta):
    sigma = np.exp(logvar / 2)
    return dz + beta * mu / len(mu), dz * eps * sigma + beta * (sigma**2 - 1) / 2 / len(mu)
