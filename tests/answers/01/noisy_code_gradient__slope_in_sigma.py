# expects: sigma, not
import numpy as np


def noisy_code_gradient(mu, logvar, eps, dz, beta):
    sigma = np.exp(logvar / 2)
    return dz + beta * mu / len(mu), dz * eps + beta * (sigma - 1 / sigma) / len(mu)
