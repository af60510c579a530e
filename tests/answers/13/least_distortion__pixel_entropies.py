# expects: the code is left out
import numpy as np


def least_distortion(x, p, q):
    def bits(white):
        black = 1 - white
        return -(white * np.log(np.maximum(white, 1e-300)) + black * np.log(np.maximum(black, 1e-300)))

    return bits(p @ x).sum()
