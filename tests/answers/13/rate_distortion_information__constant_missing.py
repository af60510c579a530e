# expects: D at .* log 2π, is missing
import numpy as np


def rate_distortion_information(v, a, s, w, t):
    agg = a**2 * v + s**2
    R = (agg - 1) / 2 - np.log(s)
    D = np.log(t**2) / 2 + (v * (1 - w * a) ** 2 + (w * s) ** 2) / (2 * t**2)
    return R, D, np.log(agg / s**2) / 2
