# expects: another number
import numpy as np


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    p, n = 1 / (1 + np.exp(-logits)), len(mu)
    share = n * len(logits)
    return (p - x) / share, beta * mu / n, beta * (1 - np.exp(-logvar)) / 2 / n
