# expects: sigma is missing in the factor
import numpy as np


def measure_valued_dmu(f, mu, sigma, W, W2):
    return (f(mu + sigma * W) - f(mu - sigma * W2)) / np.sqrt(2 * np.pi)
