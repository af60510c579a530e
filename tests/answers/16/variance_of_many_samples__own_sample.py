# expects: own f in it


def variance_of_many_samples(f0, f1, p, n_samples):
    u = p * (1 - p)
    fourth = u * (1 - 3 * u)
    unbiased = (f1 - f0) ** 2 * (fourth - (n_samples - 3) / (n_samples - 1) * u**2) / n_samples
    return unbiased * ((n_samples - 1) / n_samples) ** 2
