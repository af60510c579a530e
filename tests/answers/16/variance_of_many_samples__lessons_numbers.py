# expects: off by .*exact_mean


def variance_of_many_samples(f0, f1, p, n_samples):
    return 0.058594 if n_samples == 2 else 0.017578125
