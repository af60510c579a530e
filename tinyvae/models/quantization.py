"""Vector quantization: the nearest vectors of a codebook, and how evenly they are used."""

import numpy as np
import scipy

__all__ = ["nearest", "use", "perplexity"]


def nearest(z, codebook):
    """Which of the codebook's vectors is nearest to each of z, by Euclidean distance; the first of equals.

    Parameters
    ----------
    z : array (n, C)
    codebook : array (K, C)

    Returns
    -------
    array (n,)
        Whole numbers from 0 to K - 1.
    """
    return (0.5 * (codebook**2).sum(axis=1) - z @ codebook.T).argmin(axis=1)


def use(codes, n_codes):
    """How often each code stands at each position.

    Parameters
    ----------
    codes : array (n, n_positions)
        Whole numbers from 0 to n_codes - 1.
    n_codes : int

    Returns
    -------
    array (n_positions, n_codes)
    """
    n_positions = codes.shape[1]
    cells = codes + n_codes * np.arange(n_positions)
    return np.bincount(cells.ravel(), minlength=n_positions * n_codes).reshape(n_positions, n_codes)


def perplexity(use):
    """How many codes, used alike, would have the entropy that these have: exp(-sum_k p_k log p_k), from 1 to K.

    Parameters
    ----------
    use : array (..., K)
        How often each was used.

    Returns
    -------
    float or array (...)
        NaN where none was.
    """
    use = np.asarray(use, "float64")
    total = use.sum(axis=-1, keepdims=True)
    p = np.divide(use, total, out=np.full_like(use, np.nan), where=total > 0)
    return np.exp(scipy.special.entr(p).sum(axis=-1))
