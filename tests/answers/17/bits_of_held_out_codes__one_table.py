# expects: the chain: all positions share one table
import numpy as np


def bits_of_held_out_codes(codes, held_out, n_words):
    n, positions = codes.shape
    one = [(np.bincount(codes[:, i], minlength=n_words) + 1 / n_words) / (n + 1) for i in range(positions)]
    alone = sum(-np.log2(one[i][held_out[:, i]]) for i in range(positions))
    table = np.full((n_words, n_words), 1 / n_words)
    np.add.at(table, (codes[:, :-1], codes[:, 1:]), 1)
    p = table / table.sum(axis=1, keepdims=True)
    chain = -np.log2(one[0][held_out[:, 0]]) - np.log2(p[held_out[:, :-1], held_out[:, 1:]]).sum(axis=1)
    return alone.mean(), chain.mean()
