# expects: standard deviations
import tinyvae as tv


def noise_ratio(vae, x, n_samples):
    names = ["leave_one_out", "reparameterization"]
    reports = tv.variance.measure(vae, x, names, n_draws=300, n_samples=n_samples, n_timings=0)
    return tv.variance.ratio(reports["leave_one_out"], reports["reparameterization"], "encoder").value ** 0.5
