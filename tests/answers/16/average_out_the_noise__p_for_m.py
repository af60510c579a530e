# expects: where p > 1/2 only

import numpy as np


def average_out_the_noise(f, f2, z, z2, logits):
    p = 1 / (1 + np.exp(-logits))
    return 0.5 * (f - f2)[..., None] * p * (z - z2)
