# expects: average over the S samples
import numpy as np


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    p, n = 1 / (1 + np.exp(-logits)), len(mu)
    return (p - x) / n, beta * mu / n, beta * (np.exp(logvar) - 1) / 2 / n
