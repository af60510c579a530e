# expects: too few nodes
import numpy as np

import tinyvae as tv


def mutual_information(mu, logvar):
    std = np.exp(logvar / 2)
    eps, weights = tv.check.gauss_hermite(8, 1)
    each = np.exp(-((((mu + std * eps)[..., None] - mu) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))
    own = -(eps**2) / 2 - np.log(std * np.sqrt(2 * np.pi))
    return (weights @ (own - np.log(each.mean(axis=2)))).mean()
