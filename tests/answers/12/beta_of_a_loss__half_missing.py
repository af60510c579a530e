# expects: half of the Gaussian's exponent


def beta_of_a_loss(squares, kl_weight, n_pixels, v):
    return kl_weight * (n_pixels if squares == "mean" else 1) / v
