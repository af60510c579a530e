import math

import numpy as np


def variance_of_many_samples(f0, f1, p, n_samples):
    first = second = 0.0
    for ones in range(n_samples + 1):
        chance = math.comb(n_samples, ones) * p**ones * (1 - p) ** (n_samples - ones)
        f = np.array([f1] * ones + [f0] * (n_samples - ones))
        z = np.array([1.0] * ones + [0.0] * (n_samples - ones))
        others = (f.sum() - f) / (n_samples - 1)
        estimate = np.mean((f - others) * (z - p))
        first, second = first + chance * estimate, second + chance * estimate**2
    return np.array(second - first**2)


def average_out_the_noise(f, f2, z, z2, logits):
    z -= z2  # the reader's own copies
    rare = 1 / (1 + np.exp(np.abs(logits)))
    out = np.zeros(z.shape)
    for s in range(len(z)):
        for b in range(z.shape[1]):
            for k in range(z.shape[2]):
                if z[s, b, k]:
                    middle = 1 - rare[b, k] / 2 if z[s, b, k] > 0 else rare[b, k] / 2
                    out[s, b, k] = (f[s, b] - f2[s, b]) / 2 * (2 * middle - 1)
    return out.tolist()


def conditional_path(slope, logit, temperature, eps):
    def place(value, v, one):
        p = 1 / (1 + np.exp(-value))
        moved = np.where(one, 1 - p + v * p, v * (1 - p))
        return 1 / (1 + np.exp(-(value + np.log(moved) - np.log(1 - moved)) / temperature))

    p = 1 / (1 + np.exp(-logit))
    one = eps > 1 - p
    v = np.where(one, (eps - 1 + p) / p, eps / (1 - p))
    step = 1e-5
    dy = (place(logit + step, v, one) - place(logit - step, v, one)) / (2 * step)
    return slope(place(logit, v, one)) * dy
