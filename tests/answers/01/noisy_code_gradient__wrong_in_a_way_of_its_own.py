# expects: off by
import numpy as np


def noisy_code_gradient(mu, logvar, eps, dz, beta):
    return dz + beta * mu / len(mu), np.cos(logvar) * dz
