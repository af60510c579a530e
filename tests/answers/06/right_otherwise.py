import numpy as np


def crossing_of_a_sine(mu):
    # E[cos^2] and E[sin^2 eps^2] in closed form: sin^2 = (1 - cos 2k(mu + eps)) / 2
    def gap(k):
        damp = np.exp(-2 * k * k)
        wave = np.cos(2 * k * mu) * damp
        return k * k * (1 + wave) / 2 - (1 - wave * (1 - 4 * k * k)) / 2

    k = np.arange(1e-3, 8, 1e-3)
    i = int(np.argmax(gap(k) > 0))
    low, high = k[i - 1], k[i]
    share = gap(low) / (gap(low) - gap(high))
    return np.array(low + share * (high - low))


def variance_in_many_dimensions(K, a):
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    weights = weights / weights.sum()
    score = (nodes**2 - 1) / 2
    f = (a + nodes) ** 2
    mean = weights @ f
    variance = weights @ (f - mean) ** 2
    total = 0.0
    for value, h, weight in zip(f, score, weights):
        total += weight * h * h * ((value + (K - 1) * mean) ** 2 + (K - 1) * variance)
    return np.float64(total - (weights @ (f * score)) ** 2)


def own_term_score(q, terms, eps):
    S, B, K = eps.shape
    values = terms(q.sample(eps))
    eps *= 1.0  # answers may write to what they are given
    out = np.zeros((S, B, 2 * K), dtype="float32")
    for i in range(K):
        out[:, :, i] = values[:, :, i] * eps[:, :, i] * np.exp(-q.logvar[:, i] / 2)
        out[:, :, K + i] = 0.5 * values[:, :, i] * (eps[:, :, i] ** 2 - 1)
    return out.tolist()
