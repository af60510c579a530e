"""Black and white pixels: kept as bytes, whose ones a first layer adds up where they are few."""

import numpy as np

from tinyvae.kernels.data import only_bits

__all__ = ["as_bits", "batch_dtype"]

FEW = 0.25  # of all pixels: beyond, a product is as quick as adding up rows


def as_bits(x):
    """Data as uint8, where it is of floats that hold nothing but 0 and 1.

    Parameters
    ----------
    x : array (any shape)
        Of any dtype.

    Returns
    -------
    array
        x itself, or the same as uint8.
    """
    return x.astype("uint8") if x.dtype.kind == "f" and only_bits(x.ravel()) else x


def batch_dtype(x, dtype):
    """The precision in which a minibatch of data goes through a network quickest.

    Parameters
    ----------
    x : array (n, D)
        All data.
    dtype : numpy.dtype
        The network's.

    Returns
    -------
    numpy.dtype
        uint8 where x holds bits and few of them are ones, else `dtype`.
    """
    few = x.dtype.kind != "f" and np.count_nonzero(x) < FEW * x.size
    return np.dtype("uint8") if few else np.dtype(dtype)
