# expects: p is left out where a pixel's probability
import numpy as np


def least_distortion(x, p, q):
    def bits(white):
        black = 1 - white
        return -(white * np.log(np.maximum(white, 1e-300)) + black * np.log(np.maximum(black, 1e-300)))

    codes = p @ q
    return codes @ bits(np.clip((q / np.maximum(q.sum(axis=0), 1e-300)).T @ x, 0, 1)).sum(axis=1)
