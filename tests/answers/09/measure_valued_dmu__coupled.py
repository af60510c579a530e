# expects: W2 is not used
import numpy as np


def measure_valued_dmu(f, mu, sigma, W, W2):
    return (f(mu + sigma * W) - f(mu - sigma * W)) / (sigma * np.sqrt(2 * np.pi))
