# expects: squared mean


def variance_in_many_dimensions(K, a):
    rest, spread = (K - 1) * (a**2 + 1), (K - 1) * (4 * a**2 + 2)
    own = a**4 / 2 + 15 * a**2 + 19.5
    cross = 2 * rest * (a**2 / 2 + 2.5)
    return own + cross + (spread + rest**2) / 2
