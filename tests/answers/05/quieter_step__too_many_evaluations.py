# expects: times as noisy, at equal cost
import tinyvae as tv


def quieter_step(q, target, eps, objective=None, rng=None):
    z = q.sample(eps)
    f = target(z)
    for _ in range(9):
        target(z)
    return tv.Draws(f, (f - 0.5)[..., None] * q.score(z))
