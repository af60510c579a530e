# expects: square of the ratio


def best_ratio(v, s):
    return max(v / s**2 - 1, 0)
