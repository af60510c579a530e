# expects: itself noisy


def variance_of_many_samples(f0, f1, p, n_samples):
    return p * (1 - p) * (f1 - f0) ** 2 * (1 - 2 * p) ** 2 / n_samples
