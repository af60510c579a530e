# expects: pairs that know nothing of each other


def variance_of_many_samples(f0, f1, p, n_samples):
    u = p * (1 - p)
    return (f1 - f0) ** 2 * u * (0.5 - u) / (n_samples / 2)
