import numpy as np


def beta_of_a_loss(squares, kl_weight, n_pixels, v):
    first = 1 if squares == "sum" else 1 / n_pixels
    return kl_weight / first / (2 * v)


def continuous_bernoulli(logits, x):
    a = np.abs(logits)
    small = a < 0.1
    safe = np.where(small, 1.0, a)
    # log of the integral of e^(l x) is max(l, 0) + log((1 - e^-a) / a)
    log_c = np.where(small, -a / 2 + a**2 / 24 - a**4 / 2880, np.log(-np.expm1(-safe) / safe))
    slope_c = np.where(small, -0.5 + a / 12 - a**3 / 720, 1 / np.expm1(np.minimum(safe, 700)) - 1 / safe)
    losses = (np.maximum(logits, 0) + log_c - logits * x).sum(axis=1)
    mean = np.where(logits > 0, 1 + slope_c, -slope_c)
    return losses, mean - x


def best_floored_variance(errors, floor):
    squares = (errors**2).mean(axis=0)
    v = np.maximum(squares, floor)
    return v, 0.5 * (squares / v + np.log(2 * np.pi * v)).sum()
