def frozen_parabola(f, slope, bend, mu, sigma, eps):
    out = []
    for e in eps:
        z = float(mu + sigma * e)
        c = f(mu) + (z - mu) * (slope(mu) + 0.5 * (z - mu) * bend(mu))
        out.append((f(z) - c) * (z - mu) / sigma**2 + slope(mu))
    return out


def leave_one_out_in_pairs(f, score):
    n = len(f)
    f, score = f.astype("float32"), score.astype("float32")
    out = score.copy()
    for s in range(n):
        rest = [f[t] for t in range(n) if t % (n // 2) != s % (n // 2)]
        out[s] *= (f[s] - sum(rest) / len(rest))[:, None]
    return out


def slope_from_the_others(f, eps, sigma):
    n = len(f)
    b = (f.sum(axis=0) - f) / (n - 1)
    contributions = 0 * f
    for s in range(n):
        rows = [t for t in range(n) if t != s]
        # E[f eps] = f's slope, averaged, times sigma; the level is taken off first
        centred = f[rows] - f[rows].mean(axis=0)
        per_eps = (centred * eps[rows]).sum(axis=0) / (n - 2)
        contributions[s] = (f[s] - b[s] - per_eps * eps[s]) * eps[s] / sigma + per_eps / sigma
    return contributions
