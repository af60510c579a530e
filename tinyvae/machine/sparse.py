"""A minibatch of black and white pixels as the places of its ones: what a first layer need not multiply."""

import numpy as np

from tinyvae.kernels import sparse as kernels
from tinyvae.kernels.data import only_bits

__all__ = ["Ones", "product", "first_input", "as_bits"]

# Where adding up rows is quicker than BLAS. Measured, one thread, 784 pixels: half the time with 13% ones and 200 units
# or more; the same at 27% with 100 units, at 35% with 500; with 50 units never.
FEW, UNITS, PIXELS = 0.25, 100, 10_000


class Ones:
    """A matrix X of zeros and ones (B, D), by its ones' places, for use as `product`'s first argument.

    X W adds up, for each row, the rows of W that its ones select; X' delta, a first layer's weight gradient, likewise.
    `ones.T` and a slice of rows cost nothing.

    Parameters
    ----------
    places : array (at least the number of ones + 1,)
        uint32: the columns of the ones, row by row (see `kernels.sparse`).
    starts : array (B + 1,)
        uint32: row i's are places[starts[i] : starts[i + 1]].
    transposed : Ones
        X', or None where it is not needed.

    Attributes
    ----------
    T : Ones
        X', or None.
    """

    def __init__(self, places, starts, transposed=None):
        self._places, self._starts, self._transposed = places, starts, transposed

    @property
    def T(self):
        """X' (D, B) as `Ones`, or None: a slice has none."""
        return self._transposed

    def __len__(self):
        return len(self._starts) - 1

    def __getitem__(self, rows):
        start, stop, _ = rows.indices(len(self))
        return Ones(self._places, self._starts[start : stop + 1])

    def __array__(self, *_, **__):
        raise TypeError("Ones holds the places of ones and is no array; for its products use `product`")

    def times(self, W, out):
        """X W, written into out (B, n). W (D, n)."""
        kernels.sum_selected_rows(self._places, self._starts, W, out)
        return out


def product(a, b, out):
    """a b, written into out: rows of b are added up where `a` is `Ones`, else BLAS multiplies.

    Parameters
    ----------
    a : array or Ones (B, D)
    b : array (D, n)
    out : array (B, n)
        Written.

    Returns
    -------
    array (B, n)
        `out`.
    """
    return a.times(b, out) if isinstance(a, Ones) else np.dot(a, b, out=out)


def first_input(x, n_out, dtype, empty):
    """A minibatch as the input of a first layer: `Ones` if that is quicker.

    Parameters
    ----------
    x : array (B, D)
        Float, or uint8 holding 0 and 1.
    n_out : int
        The layer's units.
    dtype : numpy.dtype
        The network's.
    empty : function
        numpy.empty, or something of its signature.

    Returns
    -------
    array or Ones (B, D)
        x itself where it is of `dtype`.
    """
    if x.dtype == dtype:
        return x
    if x.dtype == np.uint8 and n_out >= UNITS and x.size >= PIXELS:
        places, starts = empty((x.size + 1,), np.dtype("uint32")), empty((len(x) + 1,), np.dtype("uint32"))
        kernels.find_ones(x, places, starts)
        if starts[-1] < FEW * x.size:
            places_t, starts_t = empty(places.shape, places.dtype), empty((x.shape[1] + 1,), starts.dtype)
            kernels.transpose_ones(places, starts, places_t, starts_t)
            return Ones(places, starts, Ones(places_t, starts_t))
    dense = empty(x.shape, dtype)
    dense[...] = x
    return dense


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
