# expects: the noise of z is decoded
import numpy as np


def rate_distortion_information(v, a, s, w, t):
    all_codes = a**2 * v + s**2
    rate, told = (all_codes - 1 - 2 * np.log(s)) / 2, np.log(all_codes / s**2) / 2
    return rate, (np.log(2 * np.pi * t**2) + ((1 - w * a) ** 2 * v + s**2) / t**2) / 2, told
