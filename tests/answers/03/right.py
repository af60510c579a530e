import numpy as np


def expectation_by_quadrature(f, mu, sigma, n_nodes):
    eps, weights = np.polynomial.hermite_e.hermegauss(n_nodes)
    return weights / weights.sum() @ f(mu + sigma * eps)


def nats_given_away(W, s):
    precision = np.eye(W.shape[1]) + W.T @ W / s**2
    return 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])


def mutual_information(mu, logvar):
    z, step = np.linspace(-24, 24, 4801, retstep=True)
    std = np.exp(logvar / 2)[:, None]
    q = np.exp(-(((z - mu[:, None]) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))
    return (q * np.log(q.clip(1e-300) / q.mean(axis=0).clip(1e-300))).sum() * step / len(mu)
