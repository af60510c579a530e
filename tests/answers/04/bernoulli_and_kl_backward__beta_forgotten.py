# expects: dmu is wrong in beta
import numpy as np


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    p, n = 1 / (1 + np.exp(-logits)), len(mu)
    share = n * len(logits)
    return (p - x) / share, mu / n, (np.exp(logvar) - 1) / 2 / n
