# expects: dx has shape
import numpy as np


def softplus_backward(x, W, b, dy):
    a = x @ W + b
    da = dy * 1 / (1 + np.exp(-a))
    return x.T @ da, da @ W.T, da.sum(axis=0)
