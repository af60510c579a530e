import numpy as np


def plane_angle(A, B):
    P, Q = np.linalg.qr(A)[0], np.linalg.qr(B)[0]
    return np.arcsin(min(1.0, np.linalg.norm(Q - P @ (P.T @ Q), 2)))


def noisy_code_gradient(mu, logvar, eps, dz, beta):
    sigma = np.exp(logvar / 2)
    return dz + beta * mu / len(mu), dz * eps * sigma / 2 + beta * (sigma**2 - 1) / 2 / len(mu)


def best_ratio(v, s):
    return np.sqrt(max(v / s**2 - 1, 0))
