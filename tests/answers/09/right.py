import math

import numpy as np

EPS = np.linspace(-10, 10, 2001)
WEIGHTS = np.exp(-(EPS**2) / 2) / np.exp(-(EPS**2) / 2).sum()


def measure_valued_dmu(f, mu, sigma, W, W2):
    return (f(mu + sigma * W) - f(mu - sigma * W2)) / (sigma * np.sqrt(2 * np.pi))


def gain_of_pairs(g):
    even = (g(EPS) + g(-EPS)) / 2
    single, pair = (WEIGHTS @ v**2 - (WEIGHTS @ v) ** 2 for v in (g(EPS), even))
    return single / 2 / pair


def dimension_of_takeover(f, slope, mu, sigma, slope_price):
    x, w = np.polynomial.legendre.leggauss(200)
    half = 5 * (x + 1)
    rayleigh = w * half * np.exp(-(half**2) / 2)
    rayleigh = rayleigh / rayleigh.sum()
    slopes = slope(mu + sigma * EPS)
    gradient = WEIGHTS @ slopes
    path = WEIGHTS @ slopes**2 - gradient**2
    square = rayleigh @ (f(mu + sigma * half) - f(mu - sigma * half)) ** 2
    pair = square / (2 * np.pi * sigma**2) - gradient**2
    return max(1, math.ceil(slope_price * path / (2 * pair)))
