# expects: nothing of the averages
import numpy as np


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    p, n = 1 / (1 + np.exp(-logits)), len(mu)
    return p - x, beta * mu / n, beta * (np.exp(logvar) - 1) / 2 / n
