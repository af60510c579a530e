# expects: that of tanh, as in the lesson
import numpy as np


def softplus_backward(x, W, b, dy):
    y = np.log1p(np.exp(x @ W + b))
    da = dy * (1 - y * y)
    return da @ W.T, x.T @ da, da.sum(axis=0)
