# expects: None


def quieter_step(q, target, eps, objective=None, rng=None):
    target(q.sample(eps))
