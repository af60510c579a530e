import numpy as np


def rate_distortion_information(v, a, s, w, t):
    aggregate = a**2 * v + s**2
    R = (aggregate - 1) / 2 - np.log(s)
    D = np.log(2 * np.pi * t**2) / 2 + (v * (1 - w * a) ** 2 + (w * s) ** 2) / (2 * t**2)
    return R, D, np.log(aggregate / s**2) / 2


def best_code(x, beta, w, t):
    precision = 1 + w**2 / (beta * t**2)
    mu, sigma = w * x / (beta * t**2) / precision, precision**-0.5
    inside = -np.log(2 * np.pi * t**2) / 2 - ((x - w * mu) ** 2 + (w * sigma) ** 2) / (2 * t**2)
    kl = (mu**2 + sigma**2 - 1) / 2 - np.log(sigma)
    return mu, sigma, inside - beta * kl


def least_distortion(x, p, q):
    total = 0.0
    for joint in (p[:, None] * q).T:
        if joint.sum() > 0:
            white = joint @ x / joint.sum()
            for share in (white, 1 - white):
                share = share[share > 1e-12]
                total -= joint.sum() * (share * np.log(share)).sum()
    return total
