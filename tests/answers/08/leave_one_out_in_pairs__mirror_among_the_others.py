# expects: mirror image is among


def leave_one_out_in_pairs(f, score):
    return (f - (f.sum(axis=0) - f) / (len(f) - 1))[..., None] * score
