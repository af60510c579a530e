# expects: error of one draw
import numpy as np


def error_of_endless_draws(draws, truth):
    return np.sum((draws - truth) ** 2, axis=2).mean(axis=0)
