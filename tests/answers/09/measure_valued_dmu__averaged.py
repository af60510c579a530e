# expects: is a single number
import numpy as np


def measure_valued_dmu(f, mu, sigma, W, W2):
    return np.mean((f(mu + sigma * W) - f(mu - sigma * W2)) / (sigma * np.sqrt(2 * np.pi)))
