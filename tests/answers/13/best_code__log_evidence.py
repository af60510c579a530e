# expects: the objective at .* that is log p\(x\)
import numpy as np


def best_code(x, beta, w, t):
    precision = 1 + w**2 / (beta * t**2)
    log_px = -(np.log(2 * np.pi * (w**2 + t**2)) + x**2 / (w**2 + t**2)) / 2
    return w * x / (beta * t**2) / precision, precision**-0.5, log_px
