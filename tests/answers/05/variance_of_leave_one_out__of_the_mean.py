# expects: variance of the mean over S


def variance_of_leave_one_out(a, sigma, n_samples):
    return (8 * a**2 + 10 * sigma**2 + (8 * a**2 + 2 * sigma**2) / (n_samples - 1)) / n_samples
