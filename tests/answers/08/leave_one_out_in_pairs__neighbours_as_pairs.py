# expects: how they are laid out


def leave_one_out_in_pairs(f, score):
    neighbour = f.reshape(-1, 2, f.shape[1])[:, ::-1].reshape(f.shape)
    return (f - (f.sum(axis=0) - f - neighbour) / (len(f) - 2))[..., None] * score
