# expects: wrong sign
import tinyvae as tv


def quieter_step(q, target, eps, objective=None, rng=None):
    z = q.sample(eps)
    f = target(z)
    return tv.Draws(f, (0.5 - f)[..., None] * q.score(z))
