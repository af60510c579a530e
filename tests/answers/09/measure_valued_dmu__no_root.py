# expects: what makes u exp
import numpy as np


def measure_valued_dmu(f, mu, sigma, W, W2):
    return (f(mu + sigma * W) - f(mu - sigma * W2)) / sigma + 0 * np.pi
