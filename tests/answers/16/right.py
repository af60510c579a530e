import numpy as np


def variance_of_many_samples(f0, f1, p, n_samples):
    u = p * (1 - p)
    fourth = u * (1 - 3 * u)
    return (f1 - f0) ** 2 * (fourth - (n_samples - 3) / (n_samples - 1) * u**2) / n_samples


def average_out_the_noise(f, f2, z, z2, logits):
    p = 1 / (1 + np.exp(-logits))
    return 0.5 * (f - f2)[..., None] * np.maximum(p, 1 - p) * (z - z2)


def conditional_path(slope, logit, temperature, eps):
    p = 1 / (1 + np.exp(-logit))
    odds = logit + np.log(eps / (1 - eps))
    y = 1 / (1 + np.exp(-odds / temperature))
    held = np.where(odds > 0, 1 - (1 - p) / eps, 1 - p / (1 - eps))
    return slope(y) * y * (1 - y) / temperature * held
