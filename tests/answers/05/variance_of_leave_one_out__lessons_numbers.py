# expects: at a = 0


def variance_of_leave_one_out(a, sigma, n_samples):
    return 138 + 130 / (n_samples - 1)
