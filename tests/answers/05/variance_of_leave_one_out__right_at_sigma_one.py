# expects: right at sigma = 1


def variance_of_leave_one_out(a, sigma, n_samples):
    return 8 * a**2 + 10 + (8 * a**2 + 2) / (n_samples - 1)
