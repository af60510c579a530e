# expects: for normal numbers


def variance_of_many_samples(f0, f1, p, n_samples):
    u = p * (1 - p)
    return 2 * (f1 - f0) ** 2 * u**2 / (n_samples - 1)
