# expects: one value
import math

import numpy as np

EPS = np.linspace(-10, 10, 2001)
WEIGHTS = np.exp(-(EPS**2) / 2) / np.exp(-(EPS**2) / 2).sum()


def dimension_of_takeover(f, slope, mu, sigma, slope_price):
    u = np.linspace(0, 9, 20001)
    p = u * np.exp(-(u**2) / 2)
    p = p / p.sum()
    slopes, up, down = slope(mu + sigma * EPS), f(mu + sigma * u), f(mu - sigma * u)
    gradient, factor = WEIGHTS @ slopes, 1 / (2 * np.pi * sigma**2)
    path, square = WEIGHTS @ slopes**2 - gradient**2, factor * (p @ (up - down) ** 2)
    pair = square - gradient**2
    return max(1, math.ceil(slope_price * path / pair))
