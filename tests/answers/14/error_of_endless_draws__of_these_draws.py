# expects: has their noise in it
import numpy as np


def error_of_endless_draws(draws, truth):
    return np.sum((draws.mean(axis=0) - truth) ** 2, axis=1)
