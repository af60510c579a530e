# expects: shape|off by

import numpy as np


def average_out_the_noise(f, f2, z, z2, logits):
    p = 1 / (1 + np.exp(-logits))
    return 0.5 * ((f - f2)[..., None] * np.maximum(p, 1 - p) * (z - z2)).mean(axis=0)
