# expects: this is d/dmu


def variance_in_many_dimensions(K, a):
    m, v, n = a**2 + 1, 4 * a**2 + 2, K - 1
    return a**4 + 14 * a**2 + 15 + 2 * (a**2 + 3) * m * n + v * n + m**2 * n**2
