# expects: d/dsigma
import numpy as np

import tinyvae as tv


def quieter_step(q, target, eps, objective=None, rng=None):
    z = q.sample(eps)
    f = target(z)
    u = (z - q.mu) / q.std
    return tv.Draws(f, (f - 0.5)[..., None] * np.concatenate([u / q.std, (u * u - 1) / q.std], axis=2))
