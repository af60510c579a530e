# expects: twice what it should be

import numpy as np


def average_out_the_noise(f, f2, z, z2, logits):
    p = 1 / (1 + np.exp(-logits))
    return (f - f2)[..., None] * np.maximum(p, 1 - p) * (z - z2)
