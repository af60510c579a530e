# expects: no real number


def best_ratio(v, s):
    return (v / s**2 - 1) ** 0.5
