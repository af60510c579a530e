# expects: same number at two places


def gap_of_four(mu, s):
    return 0.0538
