# expects: by position: nothing is added to the counts
import numpy as np


def bits_of_held_out_codes(codes, held_out, n_words):
    n, positions = codes.shape
    shares = [np.bincount(codes[:, i], minlength=n_words) / n for i in range(positions)]
    alone = sum(-np.log2(shares[i][held_out[:, i]]) for i in range(positions))
    return alone.mean(), alone.mean()
