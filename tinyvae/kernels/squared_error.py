"""The squared error, summed over the pixels, and its slope.

Each compiled loop stands directly below its NumPy twin and takes the same arguments.

    sum_d (x_d - o_d)^2,    d/do = 2 (o - x)

There is no half and no root: it is -log p of a Gaussian of mean o and variance 1/2, but for D/2 log(pi).
"""

import numpy as np

from tinyvae.kernels.compile import loop

__all__ = ["squared_error_numpy", "squared_error", "squared_error_and_slope_numpy", "squared_error_and_slope"]


def squared_error_numpy(outputs, x, loss):
    """loss_r = sum_d (x_rd - o_rd)^2; outputs (S * B, D), x (B, D), S times over, loss (S * B,)."""
    off = outputs - np.resize(x, outputs.shape)
    loss[:] = (off * off).sum(axis=1)


@loop(squared_error_numpy)
def squared_error(outputs, x, loss):
    for i in range(outputs.shape[0]):
        row, total = i % x.shape[0], outputs.dtype.type(0)
        for j in range(outputs.shape[1]):
            off = outputs[i, j] - x[row, j]
            total += off * off
        loss[i] = total


def squared_error_and_slope_numpy(outputs, x, loss):
    """The same, and the outputs (S * B, D) become the gradient: dloss_r / do_r = 2 (o_r - x_r)."""
    squared_error_numpy(outputs, x, loss)
    outputs[...] = 2 * (outputs - np.resize(x, outputs.shape))


@loop(squared_error_and_slope_numpy)
def squared_error_and_slope(outputs, x, loss):
    for i in range(outputs.shape[0]):
        row, total = i % x.shape[0], outputs.dtype.type(0)
        for j in range(outputs.shape[1]):
            off = outputs[i, j] - x[row, j]
            total += off * off
            outputs[i, j] = off + off
        loss[i] = total
