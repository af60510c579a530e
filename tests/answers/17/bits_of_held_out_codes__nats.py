# expects: by position: these are nats
import numpy as np


def bits_of_held_out_codes(codes, held_out, n_words):
    n, positions = codes.shape
    one = [(np.bincount(codes[:, i], minlength=n_words) + 1 / n_words) / (n + 1) for i in range(positions)]
    alone = sum(-np.log(one[i][held_out[:, i]]) for i in range(positions))
    chain = -np.log(one[0][held_out[:, 0]])
    for i in range(1, positions):
        table = np.full((n_words, n_words), 1 / n_words)
        np.add.at(table, (codes[:, i - 1], codes[:, i]), 1)
        p = table / table.sum(axis=1, keepdims=True)
        chain = chain - np.log(p[held_out[:, i - 1], held_out[:, i]])
    return alone.mean(), chain.mean()
