# expects: twice too large
import numpy as np


def own_term_score(q, terms, eps):
    f = terms(q.sample(eps))
    return np.concatenate([f * eps / q.std, f * (eps**2 - 1)], axis=-1)
