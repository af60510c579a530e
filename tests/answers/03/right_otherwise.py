import math

import numpy as np


def expectation_by_quadrature(f, mu, sigma, n_nodes):
    x, w = np.polynomial.hermite.hermgauss(n_nodes)
    return np.float32(sum(b * float(f(mu + math.sqrt(2) * sigma * a)) for a, b in zip(x, w)) / math.sqrt(math.pi))


def nats_given_away(W, s):
    W = W.astype("float32")
    W /= s  # a judge hands out copies
    cov = np.linalg.inv(np.identity(len(W.T)) + np.einsum("dk,dj->kj", W, W))
    q = 1 / np.diag(np.linalg.inv(cov))
    inverse = np.linalg.inv(cov)
    return [0.5 * (sum(np.diag(inverse) * q) - len(q) + math.log(np.linalg.det(cov)) - sum(np.log(q)))][0]


def mutual_information(mu, logvar):
    z = np.linspace(-16, 16, 8001)
    std = np.exp(0.5 * np.asarray(logvar))[:, None]
    log_q = -0.5 * ((z - np.asarray(mu)[:, None]) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)
    q = np.exp(log_q).mean(axis=0)
    entropy = -sum(q * np.log(np.maximum(q, 1e-300))) * (z[1] - z[0])
    return float(entropy - np.mean(0.5 * np.log(2 * np.pi * np.e) + np.log(std)))
