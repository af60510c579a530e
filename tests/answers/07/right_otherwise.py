# slow
import numpy as np

import tinyvae as tv


class Slower:
    """Adam with a rate that falls."""

    def __init__(self):
        self.adam, self.t = tv.Adam(6e-3), 0

    def step(self, theta, gradient):
        self.t += 1
        self.adam.rate = 6e-3 * 0.1 ** (self.t / 480)
        self.adam.step(theta, gradient)


def optimizer_for_a_noisy_gradient():
    return Slower()


def noise_ratio(vae, x, n_samples):
    rng, totals = np.random.default_rng(5), []
    for name in ("leave_one_out", "reparameterization"):
        gradients = []
        for _ in range(300):
            eps = rng.standard_normal((n_samples, len(x), vae.n_latents)).astype(vae.dtype)
            _, grads = vae.loss_and_grads(x, eps, name)
            gradients.append(grads[: vae.encoder.theta.size].copy())
        totals.append(np.var(gradients, axis=0, ddof=1).sum())
    return totals[0] / totals[1]


def predicted_ratio(f, n_samples):
    second = np.mean(np.asarray(f, "float32") ** 2)
    baseline_too = np.var(f, axis=0, ddof=1) * (1 + 1 / (n_samples - 1))
    return np.array(second / baseline_too.mean())
