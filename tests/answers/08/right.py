import numpy as np


def frozen_parabola(f, slope, bend, mu, sigma, eps):
    moved = sigma * eps
    rest = f(mu + moved) - (f(mu) + slope(mu) * moved + bend(mu) * moved**2 / 2)
    return rest * eps / sigma + slope(mu)


def leave_one_out_in_pairs(f, score):
    pair = f + np.roll(f, len(f) // 2, axis=0)
    baseline = (f.sum(axis=0) - pair) / (len(f) - 2)
    return (f - baseline)[..., None] * score


def slope_from_the_others(f, eps, sigma):
    contributions = np.empty(f.shape)
    for s in range(len(f)):
        others = np.arange(len(f)) != s
        z, values = sigma * eps[others], f[others]
        z_mean, f_mean = z.mean(axis=0), values.mean(axis=0)
        beta = ((z - z_mean) * (values - f_mean)).sum(axis=0) / ((z - z_mean) ** 2).sum(axis=0)
        b = f_mean - beta * z_mean
        contributions[s] = (f[s] - b - beta * sigma * eps[s]) * eps[s] / sigma + beta
    return contributions
