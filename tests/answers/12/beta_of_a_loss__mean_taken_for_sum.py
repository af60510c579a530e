# expects: mean of squares.*number of pixels does not count


def beta_of_a_loss(squares, kl_weight, n_pixels, v):
    return kl_weight / (2 * v)
