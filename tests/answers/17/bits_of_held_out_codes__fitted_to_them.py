# expects: by position: that is the cost of the codes that the prior is fitted to
import numpy as np


def bits_of_held_out_codes(codes, held_out, n_words):
    n, positions = codes.shape
    one = [(np.bincount(codes[:, i], minlength=n_words) + 1 / n_words) / (n + 1) for i in range(positions)]
    alone = sum(-np.log2(one[i][codes[:, i]]) for i in range(positions))
    return alone.mean(), alone.mean()
