import math

import numpy as np


def conditional_gaussian(mean, cov, x):
    missing = [d for d in range(len(x)) if math.isnan(x[d])]
    seen = [d for d in range(len(x)) if not math.isnan(x[d])]
    precision = np.linalg.inv(cov)
    spread = np.linalg.inv(precision[missing][:, missing])
    center = mean[missing] - spread @ precision[missing][:, seen] @ (x[seen] - mean[seen])
    return center.tolist(), spread.astype("float32")


def log_normal(x, mean, var):
    return -0.5 * ((x - mean) ** 2 / var + np.log(2 * np.pi * var))


def log_acceptance(x, z, z_new, mu, logvar, W, m, s):
    result = []
    for b in range(len(x)):
        weights = []
        for code in (z_new[b], z[b]):
            mean = [sum(W[d, k] * code[k] for k in range(len(code))) + m[d] for d in range(len(m))]
            weights.append(
                log_normal(x[b], np.array(mean), s**2).sum()
                + log_normal(code, 0, 1).sum()
                - log_normal(code, mu[b], np.exp(logvar[b])).sum()
            )
        result.append(weights[0] - weights[1])
    return result


def error_of_endless_draws(draws, truth):
    pairs = [(i, j) for i in range(len(draws)) for j in range(len(draws)) if i != j]
    return sum(((draws[i] - truth) * (draws[j] - truth)).sum(axis=1) for i, j in pairs) / len(pairs)
