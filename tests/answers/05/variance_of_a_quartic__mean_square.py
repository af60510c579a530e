# expects: is a mean square
import tinyvae as tv


def variance_of_a_quartic(mu, sigma):
    eps, weights = tv.check.gauss_hermite(12, 1)
    eps = eps[:, 0]
    z = mu + sigma * eps
    return weights @ (z**4 * eps / sigma) ** 2, weights @ (4 * z**3) ** 2
