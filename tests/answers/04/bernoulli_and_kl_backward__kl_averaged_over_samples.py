# expects: dmu is wrong in an average over samples
import numpy as np


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    p, n = 1 / (1 + np.exp(-logits)), len(mu)
    share = n * len(logits)
    return (p - x) / share, beta * mu / share, beta * (np.exp(logvar) - 1) / 2 / share
