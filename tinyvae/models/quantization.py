"""Vector quantization: the nearest vectors of a codebook, and how evenly they are used."""

import numpy as np

__all__ = ["nearest", "perplexity"]


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


def perplexity(use):
    """How many codes, used alike, would have the entropy that these have: exp(-sum p log p), from 1 to K.

    Parameters
    ----------
    use : array (K,)
        How often each was used.

    Returns
    -------
    float
        NaN if none was.
    """
    use = np.asarray(use, "float64")
    if not use.sum():
        return float("nan")
    p = use[use > 0] / use.sum()
    return float(np.exp(-(p * np.log(p)).sum()))
