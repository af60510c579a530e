# expects: 800
import numpy as np


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    p, n = 1 / (1 + np.exp(-logits)), len(mu)
    share = n * len(logits)
    return np.divide(p - x, p * (1 - p)) * p * (1 - p) / share, beta * mu / n, beta * (np.exp(logvar) - 1) / 2 / n
