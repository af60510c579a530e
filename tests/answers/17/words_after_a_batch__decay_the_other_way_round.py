# expects: the use: decay is what is kept
import numpy as np


def words_after_a_batch(words, use, z, decay, revive):
    own = np.eye(len(words))[((z[:, None] - words) ** 2).sum(axis=2).argmin(axis=1)]
    counts, sums = own.sum(axis=0), own.T @ z
    use = (1 - decay) * use + decay * counts
    found = counts > 0
    words[found] += decay * (sums - counts[:, None] * words)[found] / use[found, None]
    return words, use, use < revive * use.mean()
