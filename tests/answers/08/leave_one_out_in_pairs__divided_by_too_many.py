# expects: too many


def leave_one_out_in_pairs(f, score):
    half = len(f) // 2
    pair = f + f[list(range(half, 2 * half)) + list(range(half))]
    return (f - (f.sum(axis=0) - pair) / (len(f) - 1))[..., None] * score
