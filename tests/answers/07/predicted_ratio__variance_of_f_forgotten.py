# expects: variance of its own


def predicted_ratio(f, n_samples):
    m, v = f.mean(axis=0), f.var(axis=0)
    return (m**2).mean() / v.mean() * (n_samples - 1) / n_samples
