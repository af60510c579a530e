# expects: the dead: a word that this batch did not choose
import numpy as np


def words_after_a_batch(words, use, z, decay, revive):
    own = np.eye(len(words))[((z[:, None] - words) ** 2).sum(axis=2).argmin(axis=1)]
    counts, sums = own.sum(axis=0), own.T @ z
    use = decay * use + (1 - decay) * counts
    found = counts > 0
    words[found] += (1 - decay) * (sums - counts[:, None] * words)[found] / use[found, None]
    return words, use, ~found
