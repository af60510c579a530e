# expects: variance grows with K


def own_term_score(q, terms, eps):
    f = terms(q.sample(eps))
    return f.sum(axis=-1, keepdims=True) * q.score(q.sample(eps))
