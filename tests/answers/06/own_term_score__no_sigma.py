# expects: sigma is missing
import numpy as np


def own_term_score(q, terms, eps):
    f = terms(q.sample(eps))
    return np.concatenate([f * eps, f * (eps**2 - 1) / 2], axis=-1)
