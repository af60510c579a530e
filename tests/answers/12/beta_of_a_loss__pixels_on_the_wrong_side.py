# expects: number of pixels is on the wrong side


def beta_of_a_loss(squares, kl_weight, n_pixels, v):
    return kl_weight / (2 * v) / (n_pixels if squares == "mean" else 1)
