# expects: R at .* that is the KL to the aggregate
import numpy as np


def rate_distortion_information(v, a, s, w, t):
    agg = a**2 * v + s**2
    R = np.log(agg / s**2) / 2
    D = np.log(2 * np.pi * t**2) / 2 + (v * (1 - w * a) ** 2 + (w * s) ** 2) / (2 * t**2)
    return R, D, np.log(agg / s**2) / 2
