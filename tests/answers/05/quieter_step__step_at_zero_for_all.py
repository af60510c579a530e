# expects: off by|half|twice
import numpy as np

import tinyvae as tv


def quieter_step(q, target, eps, objective=None, rng=None):
    z = q.sample(eps)
    f = target(z)
    z0 = np.broadcast_to(np.exp(-0.5 * (q.mu / q.std) ** 2) / np.sqrt(2 * np.pi), z.shape)
    return tv.Draws(f, np.concatenate([z0 / q.std, -q.mu / q.std * z0 / 2], axis=2))
