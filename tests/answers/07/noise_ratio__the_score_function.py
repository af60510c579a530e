# expects: score function's ratio
import tinyvae as tv


def noise_ratio(vae, x, n_samples):
    reports = tv.variance.measure(
        vae, x, ["score_function", "reparameterization"], n_draws=300, n_samples=n_samples, n_timings=0
    )
    return tv.variance.ratio(reports["score_function"], reports["reparameterization"], "encoder").value
