# expects: must have 3 parts
import numpy as np


def bernoulli_and_kl_backward(logits, x, mu, logvar, beta):
    p, n = 1 / (1 + np.exp(-logits)), len(mu)
    share = n * len(logits)
    return (p - x) / share, beta * np.concatenate([mu, (np.exp(logvar) - 1) / 2], axis=1) / n
