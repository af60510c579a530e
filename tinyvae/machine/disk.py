"""Arrays that lie in a file, mapped into memory: read a piece at a time and let go again, they need no room."""

import contextlib
import mmap

import numpy as np

from tinyvae.kernels import data as kernels

__all__ = ["is_large", "pieces", "extent", "gather", "release"]

PIECE = 2**24  # bytes that are read at once; a mapped array of no more is treated as any other
ROWS = 16  # that are gathered at once: for each, the system may map 2 MB


def is_large(x):
    """Whether an array lies in a file and is too large to be copied.

    Parameters
    ----------
    x : array (any shape)
        A np.memmap, a view of one, or any other array.

    Returns
    -------
    bool
    """
    return x.nbytes > PIECE and _mapping(x) is not None


def pieces(x):
    """The rows of an array: all at once, or, of one that is large and lies in a file, some after the other.

    What was read of the file is let go after each piece.

    Parameters
    ----------
    x : array (n, ...)

    Yields
    ------
    array (m, ...)
        Views of x.
    """
    if not is_large(x):
        yield x
        return
    n_rows = max(1, PIECE // max(1, x.nbytes // max(1, len(x))))
    for start in range(0, len(x), n_rows):
        yield x[start : start + n_rows]
        release(x)


def extent(x):
    """The least and the largest element.

    Parameters
    ----------
    x : array (n, ...)
        Not empty.

    Returns
    -------
    tuple of two numbers
        Of x's type; NaN where one is among the elements.
    """
    ends = [(piece.min(), piece.max()) for piece in pieces(x)]
    return np.min([low for low, _ in ends]), np.max([high for _, high in ends])


def gather(x, rows, out):
    """out_i = x[rows_i], converted to out's type; of a large array in a file, what was read is let go now and then.

    Parameters
    ----------
    x : array (n, D)
    rows : array (B,)
        Their indices.
    out : array (B, D)
        Written to.
    """
    n_rows = ROWS if is_large(x) else max(1, len(rows))
    for start in range(0, len(rows), n_rows):
        kernels.gather(x, rows[start : start + n_rows], out[start : start + n_rows])
        release(x)


def release(x):
    """Let go of what was read of a large array's file: the system would keep it mapped, as if it were ours.

    Parameters
    ----------
    x : array (any shape)
        Nothing happens if it is not large.
    """
    # In a private mapping what its owner has written there would be lost.
    if is_large(x) and _mode(x) != "c" and hasattr(mmap, "MADV_DONTNEED"):
        with contextlib.suppress(OSError, ValueError):
            _mapping(x).madvise(mmap.MADV_DONTNEED)


def _mapping(x):
    """The mmap in which an array lies, or None."""
    while isinstance(x, np.ndarray):
        x = x.base
    return x if isinstance(x, mmap.mmap) else None


def _mode(x):
    """How the file of a mapped array was opened; "c", the careful one, where that cannot be known."""
    while isinstance(x, np.ndarray) and not isinstance(x, np.memmap):
        x = x.base
    return getattr(x, "mode", None) or "c"
