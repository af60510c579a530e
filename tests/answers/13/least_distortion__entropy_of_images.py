# expects: that is H, the entropy of the images
import numpy as np


def least_distortion(x, p, q):
    return -(p * np.log(p)).sum()
