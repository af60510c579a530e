# expects: 0 everywhere
import tinyvae as tv


def quieter_step(q, target, eps, objective=None, rng=None):
    z = q.sample(eps)
    f = target(z)
    return tv.Draws(f, q.path(target.grad(z), eps))
