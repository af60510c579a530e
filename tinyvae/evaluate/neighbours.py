"""The training images that lie nearest to a sample: whether a model draws something new or what it has seen."""

import numpy as np

from tinyvae import validate

__all__ = ["nearest"]

ROWS = 1000  # of `among` that are compared at once


def nearest(x, among, n=1):
    """The rows nearest to each data point, by the Euclidean distance of their pixels.

    A sample that lies nearer to a training row than held-out data do is a copy of it.

    Parameters
    ----------
    x : array (m, D)
        Such as samples of a model.
    among : array (N, D)
        Such as the training data.
    n : int
        How many for each, at most N.

    Returns
    -------
    rows : array (m, n)
        Indices into `among`, the nearest first.
    distances : array (m, n)
        Float64.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit.
    """
    x, among = validate.real("x", x), validate.real("among", among)
    validate.check_shape("x", x, ("m", "D"))
    validate.check_shape("among", among, ("N", x.shape[1]))
    if validate.integer("n", n, least=1) > len(among):
        raise ValueError(f"n must be at most {len(among)}, the rows of among, got {n}")
    x = x.astype("float64")
    validate.check_finite("x", x)
    rows, squares = np.empty((len(x), 0), int), np.empty((len(x), 0))
    for start in range(0, len(among), ROWS):
        some = np.asarray(among[start : start + ROWS], "float64")
        validate.check_finite("among", some)
        found = (x * x).sum(axis=1)[:, None] - 2 * x @ some.T + (some * some).sum(axis=1)  # m, rows
        squares = np.concatenate([squares, found], axis=1)
        rows = np.concatenate([rows, np.tile(np.arange(start, start + len(some)), (len(x), 1))], axis=1)
        kept = np.argsort(squares, axis=1, kind="stable")[:, :n]
        rows, squares = np.take_along_axis(rows, kept, axis=1), np.take_along_axis(squares, kept, axis=1)
    return rows, np.sqrt(((x[:, None] - np.asarray(among[rows], "float64")) ** 2).sum(axis=2))
