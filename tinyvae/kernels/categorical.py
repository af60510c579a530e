"""The loss of a softmax over grey levels, and its slope.

Each compiled loop stands directly below its NumPy twin and takes the same arguments. A pixel's L logits stand side by
side, and x = k / (L - 1) is its level k:

    -log p(x | o) = log sum_i e^(o_i) - o_k,    d/do_i = softmax(o)_i - [i = k]

The largest logit is subtracted before the exponentials, so that the sum lies between 1 and L.
"""

import numpy as np
from numba.extending import register_jitable

from tinyvae.kernels.compile import loop
from tinyvae.kernels.scalars import exp, log

__all__ = [
    "levels_numpy",
    "softmax_numpy",
    "categorical_loss_numpy",
    "categorical_loss",
    "categorical_loss_and_slope_numpy",
    "categorical_loss_and_slope",
]


def levels_numpy(outputs, x):
    """The logits as (S * B, D, L), a view, and the levels k of x (B, D) as (S * B, D, 1)."""
    n_levels = outputs.shape[1] // max(1, x.shape[1])
    k = np.clip(np.nan_to_num(x * (n_levels - 1) + 0.5), 0, n_levels - 1).astype(int)
    return outputs.reshape(len(outputs), x.shape[1], n_levels), np.resize(k, (len(outputs), x.shape[1]))[..., None]


def softmax_numpy(logits):
    """The probabilities of logits (..., L)."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=-1, keepdims=True)


# No "reassoc" here: a logarithm added to a large logit would be lost before the largest is subtracted.
@register_jitable(fastmath={"contract", "nsz"})
def below(logit, high):
    """How far a logit is below the largest, negative or 0."""
    return logit - high


def categorical_loss_numpy(outputs, x, loss):
    """loss_r = -log p(x_r | o_r), nats; outputs (S * B, D * L), x (B, D), S times over, loss (S * B,)."""
    logits, k = levels_numpy(outputs, x)
    logits = logits - logits.max(axis=-1, keepdims=True, initial=-np.inf)
    terms = np.log(np.exp(logits).sum(axis=-1)) - np.take_along_axis(logits, k, axis=-1)[..., 0]
    loss[:] = terms.sum(axis=1)


@loop(categorical_loss_numpy)
def categorical_loss(outputs, x, loss):
    zero, half = outputs.dtype.type(0), outputs.dtype.type(0.5)
    n_levels = outputs.shape[1] // max(1, x.shape[1])
    for i in range(outputs.shape[0]):
        row, total = i % x.shape[0], zero
        for j in range(x.shape[1]):
            first = j * n_levels
            high, addends = outputs[i, first], zero
            for k in range(first, first + n_levels):
                high = outputs[i, k] if outputs[i, k] > high else high
            for k in range(first, first + n_levels):
                addends += exp(below(outputs[i, k], high))
            k = min(max(int(x[row, j] * outputs.dtype.type(n_levels - 1) + half), 0), n_levels - 1)
            total += log(addends) - below(outputs[i, first + k], high)
        loss[i] = total


def categorical_loss_and_slope_numpy(outputs, x, loss):
    """The same, and the outputs (S * B, D * L) become the gradient: the softmax, less 1 at the pixel's level."""
    categorical_loss_numpy(outputs, x, loss)
    logits, k = levels_numpy(outputs, x)
    logits[...] = softmax_numpy(logits)
    np.put_along_axis(logits, k, np.take_along_axis(logits, k, axis=-1) - 1, axis=-1)


@loop(categorical_loss_and_slope_numpy)
def categorical_loss_and_slope(outputs, x, loss):
    zero, half, one = outputs.dtype.type(0), outputs.dtype.type(0.5), outputs.dtype.type(1)
    n_levels = outputs.shape[1] // max(1, x.shape[1])
    for i in range(outputs.shape[0]):
        row, total = i % x.shape[0], zero
        for j in range(x.shape[1]):
            first = j * n_levels
            high, addends = outputs[i, first], zero
            for k in range(first, first + n_levels):
                high = outputs[i, k] if outputs[i, k] > high else high
            k = min(max(int(x[row, j] * outputs.dtype.type(n_levels - 1) + half), 0), n_levels - 1)
            level, distance = first + k, below(outputs[i, first + k], high)
            for k in range(first, first + n_levels):
                outputs[i, k] = exp(below(outputs[i, k], high))
                addends += outputs[i, k]
            share = one / addends
            for k in range(first, first + n_levels):
                outputs[i, k] *= share
            outputs[i, level] -= one
            total += log(addends) - distance
        loss[i] = total
