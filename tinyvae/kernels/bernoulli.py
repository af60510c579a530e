"""The Bernoulli loss of logits, and its slope.

Each compiled loop stands directly below its NumPy twin and takes the same arguments. With m = |l|, e = exp(-m) and
c = 1 - x where l > 0, c = x elsewhere:

    -log p(x | l) = log(1 + e^l) - x l = m c + log(1 + e)
    d/dl          = sigmoid(l) - x     = +-(c - e / (1 + e))

Nothing cancels and nothing overflows, however large l is.
"""

import numpy as np

from tinyvae.kernels.compile import loop
from tinyvae.kernels.scalars import exp, log1p_unit

__all__ = ["bernoulli_loss_numpy", "bernoulli_loss", "bernoulli_loss_and_slope_numpy", "bernoulli_loss_and_slope"]


def bernoulli_loss_numpy(logits, x, loss):
    """loss_r = -log p(x_r | l_r), nats; logits (S * B, D), x (B, D), float or uint8, S times over, loss (S * B,)."""
    x = np.resize(x, logits.shape).astype(logits.dtype, copy=False)
    size = np.abs(logits)
    c = np.where(logits > 0, 1 - x, x)
    loss[:] = (size * c + np.log1p(np.exp(-size))).sum(axis=1)


@loop(bernoulli_loss_numpy)
def bernoulli_loss(logits, x, loss):
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    for i in range(logits.shape[0]):
        row = i % x.shape[0]
        total = zero
        for j in range(logits.shape[1]):
            l = logits[i, j]
            pixel = logits.dtype.type(x[row, j])
            c = one - pixel if l > zero else pixel
            total += abs(l) * c + log1p_unit(exp(-abs(l)))
        loss[i] = total


def bernoulli_loss_and_slope_numpy(logits, x, loss):
    """The same, and the logits (S * B, D) become the gradient: dloss_r / dl_r = sigmoid(l_r) - x_r."""
    bernoulli_loss_numpy(logits, x, loss)
    x = np.resize(x, logits.shape).astype(logits.dtype, copy=False)
    c = np.where(logits > 0, 1 - x, x)
    e = np.exp(-np.abs(logits))
    logits[...] = np.where(logits > 0, c - e / (1 + e), e / (1 + e) - c)


@loop(bernoulli_loss_and_slope_numpy)
def bernoulli_loss_and_slope(logits, x, loss):
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    for i in range(logits.shape[0]):
        row = i % x.shape[0]
        total = zero
        for j in range(logits.shape[1]):
            l = logits[i, j]
            pixel = logits.dtype.type(x[row, j])
            c = one - pixel if l > zero else pixel
            e = exp(-abs(l))
            total += abs(l) * c + log1p_unit(e)
            slope = c - e / (one + e)
            logits[i, j] = slope if l > zero else -slope
        loss[i] = total
