# expects: does not look at a


def variance_of_leave_one_out(a, sigma, n_samples):
    return (10 + 2 / (n_samples - 1)) * sigma**2
