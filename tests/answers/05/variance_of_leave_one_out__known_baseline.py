# expects: known exactly


def variance_of_leave_one_out(a, sigma, n_samples):
    return 8 * a**2 + 10 * sigma**2
