# expects: dx is off by
import numpy as np


def softplus_backward(x, W, b, dy):
    a = x @ W + b
    da = dy * np.cos(a)
    return da @ W.T, x.T @ da, da.sum(axis=0)
