"""Loops over data: is it finite, and a minibatch of it in the model's precision.

Each compiled loop stands directly below its NumPy twin and takes the same arguments.
"""

import numpy as np

from tinyvae.kernels.compile import loop

__all__ = [
    "all_finite_numpy",
    "all_finite",
    "only_bits_numpy",
    "only_bits",
    "same_numpy",
    "same",
    "gather_numpy",
    "gather",
]


def all_finite_numpy(x):
    """Whether no element of x (n,) is NaN or infinite."""
    return bool(np.isfinite(x).all())


@loop(all_finite_numpy)
def all_finite(x):
    finite = True
    for i in range(x.size):
        finite &= np.isfinite(x[i])
    return finite


def only_bits_numpy(x):
    """Whether every element of x (n,) is 0 or 1."""
    return bool(((x == 0) | (x == 1)).all())


@loop(only_bits_numpy)
def only_bits(x):
    for i in range(x.size):
        if x[i] != 0 and x[i] != 1:
            return False
    return True


def same_numpy(x, y):
    """Whether x and y (n,) agree element by element; NaN agrees with nothing."""
    return bool((x == y).all())


@loop(same_numpy)
def same(x, y):
    equal = True
    for i in range(x.size):
        equal &= x[i] == y[i]
    return equal


def gather_numpy(x, rows, out):
    """out_i = x[rows_i], converted to out's type. x (n, D), rows (B,), out (B, D)."""
    out[...] = x[rows]


@loop(gather_numpy)
def gather(x, rows, out):
    for i in range(rows.size):
        source, target = x[rows[i]], out[i]
        for j in range(source.size):
            target[j] = source[j]
