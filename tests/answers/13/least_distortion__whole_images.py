# expects: H\(x \| z\) of whole images
import numpy as np


def least_distortion(x, p, q):
    joint = p[:, None] * q
    codes = joint.sum(axis=0)
    shares = joint / np.maximum(codes, 1e-300)
    return -(joint * np.log(np.maximum(shares, 1e-300))).sum()
