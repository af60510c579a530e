import math

import numpy as np


def draw_codes(mu, log_sigma, eps):
    eps *= np.exp(log_sigma)  # in place: the noise is the caller's no more
    eps += mu
    return eps.astype("float32")


def kl_and_slopes(mu, log_sigma):
    kl, dmu, dr = [], [], []
    for means, logs in zip(mu, log_sigma):
        kl.append(math.fsum(0.5 * m * m + 0.5 * math.exp(r) ** 2 - 0.5 - r for m, r in zip(means, logs)))
        dmu.append(list(means))
        dr.append([math.expm1(2 * r) for r in logs])
    return [kl, dmu, dr]


def score_of_codes(mu, log_sigma, z):
    precision = np.exp(-2 * log_sigma)
    away = z - mu
    dmu = away * precision
    return dmu, dmu * away - 1
