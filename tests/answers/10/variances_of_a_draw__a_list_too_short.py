# expects: shape
import numpy as np


def variances_of_a_draw(mu, s):
    a, mismatch = mu - 1, (2 * s - 1 / s) ** 2
    return np.array(
        [[4 * s**2, 4 * a**2 + 8 * s**2], [s**2, (mu - 2) ** 2 + 2 * s**2], [mismatch, 4 * a**2 + 2 * mismatch]]
    )[:2]
