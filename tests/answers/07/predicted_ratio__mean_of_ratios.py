# expects: mean of ratios


def predicted_ratio(f, n_samples):
    m, v = f.mean(axis=0), f.var(axis=0)
    return ((m**2 + v) / v).mean() * (n_samples - 1) / n_samples
