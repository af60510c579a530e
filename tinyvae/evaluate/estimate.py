"""A number with its standard error: what most of this folder returns."""

from typing import NamedTuple

import numpy as np

__all__ = ["Estimate", "ratio"]


class Estimate(NamedTuple):
    """A number and how far off it is likely to be.

    Attributes
    ----------
    value : float
        The estimate.
    error : float
        Its standard error; value -+ 1.96 error holds the truth in 95% of runs, where nothing else is said.
    """

    value: float
    error: float


def ratio(above, below, paired=False):
    """A ratio of two means, with its standard error by the delta method.

        v = mean(above) / mean(below),  error^2 = v^2 var(mean(above) / E above - mean(below) / E below)

    Parameters
    ----------
    above, below : array (n,) and (m,)
        Draws, each independent of the others of its kind.
    paired : bool
        Whether above[i] and below[i] come from the same draw; else the two are independent.

    Returns
    -------
    Estimate
        NaN where both means are 0, infinity where only `below`'s is.
    """
    above, below = np.asarray(above, "float64"), np.asarray(below, "float64")
    tops, bottoms = above.mean(), below.mean()
    if not bottoms or not tops:
        value = np.nan if not bottoms and not tops else np.inf if not bottoms else 0.0
        return Estimate(float(value), float("nan"))
    if paired:
        square = (above / tops - below / bottoms).var(ddof=1) / len(above)
    else:
        square = (above / tops).var(ddof=1) / len(above) + (below / bottoms).var(ddof=1) / len(below)
    value = float(tops / bottoms)
    return Estimate(value, float(value * np.sqrt(square)))
