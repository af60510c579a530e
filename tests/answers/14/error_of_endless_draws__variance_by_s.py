# expects: vary by less
import numpy as np


def error_of_endless_draws(draws, truth):
    return np.sum((draws.mean(axis=0) - truth) ** 2 - draws.var(axis=0) / len(draws), axis=1)
