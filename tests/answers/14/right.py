import numpy as np


def conditional_gaussian(mean, cov, x):
    h = np.isnan(x)
    gain = np.linalg.solve(cov[np.ix_(~h, ~h)], cov[np.ix_(~h, h)]).T
    return mean[h] + gain @ (x[~h] - mean[~h]), cov[np.ix_(h, h)] - gain @ cov[np.ix_(~h, h)]


def log_acceptance(x, z, z_new, mu, logvar, W, m, s):
    def log_w(z):
        data = ((x - z @ W.T - m) ** 2).sum(axis=1) / s**2
        return -0.5 * (data + (z**2).sum(axis=1) - ((z - mu) ** 2 / np.exp(logvar)).sum(axis=1))

    return log_w(z_new) - log_w(z)


def error_of_endless_draws(draws, truth):
    mean, var = draws.mean(axis=0), draws.var(axis=0, ddof=1)
    return ((mean - truth) ** 2 - var / len(draws)).sum(axis=1)
