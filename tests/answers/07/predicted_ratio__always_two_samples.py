# expects: whatever n_samples


def predicted_ratio(f, n_samples):
    m, v = f.mean(axis=0), f.var(axis=0)
    return (m**2 + v).mean() / (2 * v).mean()
