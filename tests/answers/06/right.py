import numpy as np

EPS = np.linspace(-10, 10, 801)
WEIGHTS = np.exp(-(EPS**2) / 2) / np.exp(-(EPS**2) / 2).sum()


def crossing_of_a_sine(mu):
    def excess(k):
        path, score = k * np.cos(k * (mu + EPS)), np.sin(k * (mu + EPS)) * EPS
        return WEIGHTS @ path**2 - WEIGHTS @ score**2  # the means are the same

    low = 0.01
    while excess(low + 0.01) < 0:
        low += 0.01
    high = low + 0.01
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) > 0 else (middle, high)
    return high


def variance_in_many_dimensions(K, a):
    rest, spread = (K - 1) * (a**2 + 1), (K - 1) * (4 * a**2 + 2)
    own = a**4 / 2 + 15 * a**2 + 19.5
    cross = 2 * rest * (a**2 / 2 + 2.5)
    return own + cross + (spread + rest**2) / 2 - 1


def own_term_score(q, terms, eps):
    z = q.sample(eps)
    f = terms(z)
    return np.concatenate([f * eps / q.std, f * (eps**2 - 1) / 2], axis=-1)
