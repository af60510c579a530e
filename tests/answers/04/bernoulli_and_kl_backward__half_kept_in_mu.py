# expects: dmu is wrong in the KL.s 1/2
import numpy as np


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    p, n = 1 / (1 + np.exp(-logits)), len(mu)
    share = n * len(logits)
    return (p - x) / share, beta * mu / 2 / n, beta * (np.exp(logvar) - 1) / 2 / n
