# expects: has shape


def leave_one_out_in_pairs(f, score):
    return (f[..., None] * score).mean(axis=0)
