# expects: shape \(2, 6\), expected an array of shape \(4, 2, 6\)
import numpy as np


def own_term_score(q, terms, eps):
    f = terms(q.sample(eps))
    return np.concatenate([f * eps / q.std, f * (eps**2 - 1) / 2], axis=-1).mean(axis=0)
