# expects: own f in it


def variance_of_leave_one_out(a, sigma, n_samples):
    return (1 - 1 / n_samples) ** 2 * (8 * a**2 + 10 * sigma**2 + (8 * a**2 + 2 * sigma**2) / (n_samples - 1))
