"""The two functions that bits are made of: compiled in float32, in NumPy's vectorised exponentials otherwise."""

import numpy as np

from tinyvae.kernels import binary as kernels

__all__ = ["sigmoid", "softplus"]


def sigmoid(logits):
    """1 / (1 + exp(-logits)), the probability of a 1.

    Parameters
    ----------
    logits : array
        Of any size: where exp(-logits) is beyond the largest number, it is 0.

    Returns
    -------
    array
        Of logits' shape and dtype.
    """
    return _each(kernels.sigmoid, kernels.sigmoid_numpy, logits)


def softplus(logits):
    """log(1 + exp(logits)), without overflow.

    Parameters
    ----------
    logits : array

    Returns
    -------
    array
        Of logits' shape and dtype.
    """
    return _each(kernels.softplus, kernels.softplus_numpy, logits)


def _each(loop, twin, x):
    """Either's result, of x's shape. The C library's float64 exponential, in a loop, is slower than NumPy's."""
    x = np.ascontiguousarray(x)
    out = np.empty_like(x)
    (loop if x.dtype == np.float32 else twin)(x.reshape(-1), out.reshape(-1))
    return out
