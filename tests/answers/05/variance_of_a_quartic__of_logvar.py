# expects: d/dlogvar
import tinyvae as tv


def variance_of_a_quartic(mu, sigma):
    eps, weights = tv.check.gauss_hermite(12, 1)
    eps = eps[:, 0]
    z = mu + sigma * eps
    first, second = z**4 * (eps**2 - 1) / 2, 2 * z**3 * sigma * eps
    return weights @ (first - weights @ first) ** 2, weights @ (second - weights @ second) ** 2
