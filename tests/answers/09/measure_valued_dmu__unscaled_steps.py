# expects: not scaled by sigma
import numpy as np


def measure_valued_dmu(f, mu, sigma, W, W2):
    return (f(mu + W) - f(mu - W2)) / (sigma * np.sqrt(2 * np.pi))
