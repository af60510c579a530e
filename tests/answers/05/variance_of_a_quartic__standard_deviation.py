# expects: standard deviation
import tinyvae as tv


def variance_of_a_quartic(mu, sigma):
    eps, weights = tv.check.gauss_hermite(12, 1)
    eps = eps[:, 0]
    z = mu + sigma * eps
    mean = 4 * mu**3 + 12 * mu * sigma**2
    return (weights @ (z**4 * eps / sigma - mean) ** 2) ** 0.5, (weights @ (4 * z**3 - mean) ** 2) ** 0.5
