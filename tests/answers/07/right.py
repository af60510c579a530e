import tinyvae as tv


def optimizer_for_a_noisy_gradient():
    return tv.Adam(3e-3)


def noise_ratio(vae, x, n_samples):
    names = ["leave_one_out", "reparameterization"]
    reports = tv.variance.measure(vae, x, names, n_draws=300, n_samples=n_samples, n_timings=0)
    return tv.variance.ratio(reports["leave_one_out"], reports["reparameterization"], "encoder").value


def predicted_ratio(f, n_samples):
    m, v = f.mean(axis=0), f.var(axis=0)
    return (m**2 + v).mean() / n_samples / (v.mean() / (n_samples - 1))
