import numpy as np


def equal_mass_codes(quantile, n_side):
    edges = np.linspace(0, 1, n_side + 1)
    side = [float(quantile((low + high) / 2)) for low, high in zip(edges, edges[1:])]
    return [[z1, z2] for z2 in reversed(side) for z1 in side]


def whiten(codes):
    codes -= codes.mean(axis=0) * 0  # its own copy
    mean = np.average(codes, axis=0)
    centred = codes - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / (len(codes) - 1))
    A = vectors @ np.diag(values**-0.5) @ vectors.T
    return mean.tolist(), A.astype("float32"), np.linalg.inv(A)


def best_noise(slopes, s):
    variances = [s * s / (s * s + float(column @ column)) for column in slopes.T]
    return np.log(variances), [-0.5 * np.log(v) for v in variances]
