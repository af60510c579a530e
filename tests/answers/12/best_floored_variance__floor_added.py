# expects: floor is added
import numpy as np


def best_floored_variance(errors, floor):
    squares = (errors**2).mean(axis=0)
    v = squares + floor
    return v, 0.5 * (squares / v + np.log(2 * np.pi * v)).sum()
