import numpy as np


def slopes_across_words(words, a, f, slope_of_f):
    words = np.sort(words)
    below = 1 / (1 + np.exp(a - (words[1:] + words[:-1]) / 2))
    mass = np.diff(np.concatenate([[0], below, [1]]))
    return (below * (1 - below)) @ np.diff(f(words)), mass @ slope_of_f(words)


def words_after_a_batch(words, use, z, decay, revive):
    nearest = ((z[:, None] - words) ** 2).sum(axis=2).argmin(axis=1)
    own = np.eye(len(words))[nearest]
    counts, sums = own.sum(axis=0), own.T @ z
    use = decay * use + (1 - decay) * counts
    found = counts > 0
    words[found] += (1 - decay) * (sums - counts[:, None] * words)[found] / use[found, None]
    return words, use, use < revive * use.mean()


def bits_of_held_out_codes(codes, held_out, n_words):
    def cost(before, now, before_held_out, now_held_out):
        table = np.full((before.max(initial=0) + n_words, n_words), 1 / n_words)
        np.add.at(table, (before, now), 1)
        p = table / table.sum(axis=1, keepdims=True)
        return -np.log2(p[before_held_out, now_held_out]).mean()

    def alone(i):
        return cost(0 * codes[:, i], codes[:, i], 0 * held_out[:, i], held_out[:, i])

    chain = [cost(codes[:, i - 1], codes[:, i], held_out[:, i - 1], held_out[:, i]) for i in range(1, codes.shape[1])]
    return sum(alone(i) for i in range(codes.shape[1])), alone(0) + sum(chain)
