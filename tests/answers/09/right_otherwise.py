import numpy as np


def measure_valued_dmu(f, mu, sigma, W, W2):
    W *= sigma
    W2 *= sigma
    return [(2 * np.pi) ** -0.5 * float(f(mu + a) - f(mu - b)) / sigma for a, b in zip(W, W2)]


def gain_of_pairs(g):
    x, w = np.polynomial.hermite_e.hermegauss(80)
    w = w / w.sum()
    even, odd = (g(x) + g(-x)) / 2, (g(x) - g(-x)) / 2
    even = even - w @ even
    return np.float32(0.5 + 0.5 * (w @ odd**2) / (w @ even**2))


def dimension_of_takeover(f, slope, mu, sigma, slope_price):
    u = np.linspace(0, 9, 20001)
    p = u * np.exp(-(u**2) / 2)
    p /= p.sum()
    n = np.concatenate([-u[:0:-1], u])
    q = np.exp(-(n**2) / 2)
    q /= q.sum()
    pair = (f(mu + sigma * u) - f(mu - sigma * u)) / np.sqrt(2 * np.pi) / sigma
    values = slope(mu + sigma * n)
    variance = {"path": q @ (values - q @ values) ** 2, "pair": p @ (pair - p @ pair) ** 2}
    K = 1
    while variance["path"] * slope_price > variance["pair"] * 2 * K:
        K += 1
    return np.int64(K)
