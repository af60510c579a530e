import math


def slopes_across_words(words, a, f, slope_of_f):
    import numpy as np

    order = sorted(float(word) for word in words)
    step = 1e-5

    def mean(g, shift):
        total, low = 0.0, 0.0
        for i, word in enumerate(order):
            high = 1 / (1 + math.exp(shift - (word + order[i + 1]) / 2)) if i + 1 < len(order) else 1.0
            total += (high - low) * float(g(np.array([word]))[0])
            low = high
        return total

    return (mean(f, a + step) - mean(f, a - step)) / (2 * step), mean(slope_of_f, a)


def words_after_a_batch(words, use, z, decay, revive):
    n, size = words.shape
    counts, sums = [0] * n, [[0.0] * size for _ in range(n)]
    for vector in z.tolist():
        distances = [sum((v - w) ** 2 for v, w in zip(vector, word)) for word in words.tolist()]
        k = distances.index(min(distances))
        counts[k] += 1
        sums[k] = [s + v for s, v in zip(sums[k], vector)]
    new_use = [decay * u + (1 - decay) * c for u, c in zip(use, counts)]
    new_words = []
    for word, old, new, total in zip(words.tolist(), use, new_use, sums):
        kept = [decay * old * w + (1 - decay) * s for w, s in zip(word, total)]
        new_words.append([number / new for number in kept] if new else word)
    limit = revive * sum(new_use) / n
    return new_words, new_use, [bool(u < limit) for u in new_use]


def bits_of_held_out_codes(codes, held_out, n_words):
    codes, held_out = codes.tolist(), held_out.tolist()

    def p(i, word, given=None):
        rows = [row for row in codes if given is None or row[i - 1] == given]
        return (sum(row[i] == word for row in rows) + 1 / n_words) / (len(rows) + 1)

    alone = chain = 0.0
    for row in held_out:
        for i, word in enumerate(row):
            alone -= math.log(p(i, word), 2)
            chain -= math.log(p(i, word, row[i - 1] if i else None), 2)
    return alone / len(held_out), chain / len(held_out)
