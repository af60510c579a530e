# expects: are NaN; what if no vector has chosen a word so far
import numpy as np


def words_after_a_batch(words, use, z, decay, revive):
    own = np.eye(len(words))[((z[:, None] - words) ** 2).sum(axis=2).argmin(axis=1)]
    counts, sums = own.sum(axis=0), own.T @ z
    new_use = decay * use + (1 - decay) * counts
    with np.errstate(all="ignore"):
        words = (decay * use[:, None] * words + (1 - decay) * sums) / new_use[:, None]
    return words, new_use, new_use < revive * new_use.mean()
