# expects: sign is reversed
import numpy as np


def measure_valued_dmu(f, mu, sigma, W, W2):
    return (f(mu - sigma * W2) - f(mu + sigma * W)) / (sigma * np.sqrt(2 * np.pi))
