# expects: by position: a whole observation is added to each word
import numpy as np


def bits_of_held_out_codes(codes, held_out, n_words):
    n, positions = codes.shape
    one = [(np.bincount(codes[:, i], minlength=n_words) + 1.0) / (n + n_words) for i in range(positions)]
    alone = sum(-np.log2(one[i][held_out[:, i]]) for i in range(positions))
    chain = -np.log2(one[0][held_out[:, 0]])
    for i in range(1, positions):
        table = np.full((n_words, n_words), 1.0)
        np.add.at(table, (codes[:, i - 1], codes[:, i]), 1)
        p = table / table.sum(axis=1, keepdims=True)
        chain = chain - np.log2(p[held_out[:, i - 1], held_out[:, i]])
    return alone.mean(), chain.mean()
