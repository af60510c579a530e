# expects: without a baseline


def variance_of_leave_one_out(a, sigma, n_samples):
    return a**4 / sigma**2 + 14 * a**2 + 15 * sigma**2
