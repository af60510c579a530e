# expects: None
import numpy as np


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    n = len(mu)
    return None, beta * mu / n, beta * (np.exp(logvar) - 1) / 2 / n
