# expects: number of pixels
import numpy as np


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    p, n = 1 / (1 + np.exp(-logits)), len(mu)
    share = n * len(logits)
    return (p - x) / share / x.shape[1], beta * mu / n, beta * (np.exp(logvar) - 1) / 2 / n
