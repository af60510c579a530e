# expects: other way round


def predicted_ratio(f, n_samples):
    m, v = f.mean(axis=0), f.var(axis=0)
    return v.mean() / (m**2 + v).mean() * n_samples / (n_samples - 1)
