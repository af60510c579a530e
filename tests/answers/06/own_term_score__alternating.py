# expects: alternate
import numpy as np


def own_term_score(q, terms, eps):
    f = terms(q.sample(eps))
    return np.stack([f * eps / q.std, f * (eps**2 - 1) / 2], axis=-1).reshape(*eps.shape[:2], -1)
