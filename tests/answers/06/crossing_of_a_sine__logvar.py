# expects: d/dlogvar
import numpy as np

EPS = np.linspace(-10, 10, 801)
WEIGHTS = np.exp(-(EPS**2) / 2) / np.exp(-(EPS**2) / 2).sum()


def crossing_of_a_sine(mu):
    def excess(k):
        angle = k * (mu + EPS)
        return WEIGHTS @ (k * np.cos(angle) * EPS / 2) ** 2 - WEIGHTS @ (np.sin(angle) * (EPS**2 - 1) / 2) ** 2

    low = 0.01
    while excess(low + 0.01) < 0:
        low += 0.01
    high = low + 0.01
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) > 0 else (middle, high)
    return high
