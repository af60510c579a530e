"""Uniform noise, which discrete latents are drawn with, and quadrature over it."""

import functools
import itertools

import numpy as np
import scipy

from tinyvae import validate
from tinyvae.noise import independent

__all__ = ["open_uniform", "checked_uniform", "gauss_legendre"]

MOST = 10_000_000  # numbers in a grid


def open_uniform(rng, n_samples, n_points, n_numbers, dtype, scheme):
    """Numbers from a noise scheme as uniform ones, never 0 or 1.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_samples : int
        S.
    n_points : int
        B.
    n_numbers : int
        N, for each data point.
    dtype : NumPy dtype
        float32 or float64.
    scheme : function
        (rng, n_samples, n_points, n_numbers, dtype) -> standard normal numbers; `tv.noise.independent`, a
        `functools.partial` of it or not, is drawn as uniform numbers at once.

    Returns
    -------
    array (S, B, N)
    """
    dtype = np.dtype(dtype)
    tiny = np.finfo(dtype).epsneg / 2  # below the smallest number above 0 that is drawn
    plain = scheme.func if isinstance(scheme, functools.partial) else scheme
    if plain is independent:
        empty = getattr(scheme, "keywords", {}).get("empty", np.empty)
        u = empty((n_samples, n_points, n_numbers), dtype)
        rng.random(out=u, dtype=dtype)
    else:
        u = scipy.special.ndtr(scheme(rng, n_samples, n_points, n_numbers, dtype)).astype(dtype, copy=False)
        np.minimum(u, 1 - np.finfo(dtype).epsneg, out=u)
    return np.maximum(u, tiny, out=u)


def checked_uniform(eps, shape, dtype):
    """Noise that may be uniform: what is drawn for a Gaussian, of which half lies below 0, is told from it.

    Parameters
    ----------
    eps : array (S, B, N)
        Its ends count as inside: 1 - eps, too, is noise, and may round to 1.
    shape : tuple
        See `validate.array`.
    dtype : NumPy dtype

    Returns
    -------
    array (S, B, N)

    Raises
    ------
    ValueError
        If the shape does not fit, or a number is below 0 or above 1.
    TypeError
        If the dtype does not fit.
    """
    eps = validate.array("eps", eps, shape, dtype)
    if eps.size and (eps.min() < 0 or eps.max() > 1):
        wrong = eps.min() if eps.min() < 0 else eps.max()
        raise ValueError(f"eps must be uniform, in (0, 1), got {wrong:g}: draw it by q.noise(rng, n_samples)")
    return eps


def gauss_legendre(cuts, n_nodes, n_samples):
    """Nodes and weights over uniform numbers, in the pieces between cuts: sum_n w_n f(eps_n) = E[f(eps)].

    Parameters
    ----------
    cuts : list of array
        For each of N numbers, where f may jump, in (0, 1).
    n_nodes : int
        In each piece.
    n_samples : int
        S, independent of each other.

    Returns
    -------
    eps : array (S, M, N)
    weights : array (M,)

    Raises
    ------
    ValueError
        Where that would exceed 10 million numbers.
    """
    x, w = np.polynomial.legendre.leggauss(n_nodes)
    nodes, weights = [], []
    for some in cuts:
        ends = np.unique(np.concatenate([[0.0, 1.0], np.asarray(some, "float64")]))
        length = np.diff(ends)[:, None]
        nodes.append((ends[:-1, None] + length * (x + 1) / 2).ravel())
        weights.append((length * w / 2).ravel())
    many = float(np.prod([float(len(one)) for one in nodes])) ** n_samples
    if many * n_samples * len(cuts) > MOST:
        raise ValueError(
            f"the grid over {n_samples} x {len(cuts)} uniform numbers has {many:.3g} nodes: take fewer nodes, rows, "
            "samples or latents"
        )
    grid = np.meshgrid(*itertools.chain(*[nodes] * n_samples), indexing="ij")
    eps = np.stack([one.ravel() for one in grid]).reshape(n_samples, len(cuts), -1).transpose(0, 2, 1)
    product = functools.reduce(
        lambda a, b: np.multiply.outer(a, b).ravel(), list(itertools.chain(*[weights] * n_samples))
    )
    return np.ascontiguousarray(eps), product
