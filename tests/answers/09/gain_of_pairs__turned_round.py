# expects: turned round
import numpy as np

EPS = np.linspace(-10, 10, 2001)
WEIGHTS = np.exp(-(EPS**2) / 2) / np.exp(-(EPS**2) / 2).sum()


def gain_of_pairs(g):
    even = (g(EPS) + g(-EPS)) / 2
    single, pair = (WEIGHTS @ v**2 - (WEIGHTS @ v) ** 2 for v in (g(EPS), even))
    return pair / (single / 2)
