# expects: is leave-one-out.s


def average_out_the_noise(f, f2, z, z2, logits):
    return 0.5 * (f - f2)[..., None] * (z - z2)
