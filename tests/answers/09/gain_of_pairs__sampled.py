# expects: random numbers
import numpy as np


def gain_of_pairs(g):
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 20_000))
    return np.var((g(first) + g(second)) / 2) / np.var((g(first) + g(-first)) / 2)
