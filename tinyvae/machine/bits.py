"""Black and white pixels: kept as bytes, whose ones a first layer adds up where they are few."""

import numpy as np

from tinyvae.kernels.data import only_bits
from tinyvae.machine.disk import is_large, pieces

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
        x itself, or the same as uint8. What lies in a file and is large stays there as it is.
    """
    return x.astype("uint8") if x.dtype.kind == "f" and not is_large(x) and only_bits(x.ravel()) else x


def batch_dtype(x, dtype, takes_bits=True):
    """The precision in which a minibatch of data goes through a network quickest.

    Parameters
    ----------
    x : array (n, D)
        All data.
    dtype : numpy.dtype
        The network's.
    takes_bits : bool
        Whether the likelihood lets bits pass: then whole numbers are bits.

    Returns
    -------
    numpy.dtype
        uint8 where x holds bits and few of them are ones, else `dtype`.
    """
    bits = takes_bits and (x.dtype.kind != "f" or (is_large(x) and all(map(only_bits, pieces(x.ravel())))))
    few = bits and sum(map(np.count_nonzero, pieces(x))) < FEW * x.size
    return np.dtype("uint8") if few else np.dtype(dtype)
