import math

import numpy as np

NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)


def beta_of_a_loss(squares, kl_weight, n_pixels, v):
    return np.float32({"sum": 1, "mean": n_pixels}[squares] * kl_weight * 0.5 / v)


def continuous_bernoulli(logits, x):
    nodes, weights = (NODES + 1) / 2, WEIGHTS / 2
    losses, slopes = [], []
    for row, pixels in zip(logits.tolist(), x.tolist()):
        loss, slope = 0.0, []
        for l, value in zip(row, pixels):
            top = max(l, 0.0)
            e = weights * np.exp(l * nodes - top)
            loss += top + math.log(e.sum()) - l * value
            slope.append(float(e @ nodes / e.sum()) - value)
        losses.append(loss)
        slopes.append(slope)
    return losses, slopes


def best_floored_variance(errors, floor):
    found, cost = [], 0.0
    for column in np.asarray(errors).T:
        v = max(float(np.dot(column, column)) / len(column), floor)
        found.append(v)
        cost += sum(0.5 * e * e / v + 0.5 * math.log(2 * math.pi * v) for e in column) / len(column)
    return found, cost
