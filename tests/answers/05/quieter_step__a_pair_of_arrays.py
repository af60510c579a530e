# expects: must return tv.Draws


def quieter_step(q, target, eps, objective=None, rng=None):
    z = q.sample(eps)
    f = target(z)
    return f, (f - 0.5)[..., None] * q.score(z)
