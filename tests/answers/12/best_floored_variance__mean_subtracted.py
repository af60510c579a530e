# expects: mean of the errors is subtracted
import numpy as np


def best_floored_variance(errors, floor):
    v = np.maximum(errors.var(axis=0), floor)
    return v, 0.5 * ((errors**2).mean(axis=0) / v + np.log(2 * np.pi * v)).sum()
