"""A published number beside a measured one, and how the two are written."""

import math
from typing import NamedTuple

from scipy import stats

__all__ = ["Row", "HEADER", "cells", "half_width", "least"]

HEADER = ("quantity", "published", "measured", "95% interval", "unit")


class Row(NamedTuple):
    """One quantity of an experiment.

    Attributes
    ----------
    quantity : str
        What it is.
    published : float, str, tuple of two floats or None
        The publication's number, or words; an interval read off a figure; None if it has none.
    measured : float or None
        Ours; None where it was not measured.
    low, high : float or None
        The 95% interval of the measured number, of its sampling alone; None where it has none.
    unit : str
        Such as "nats".
    remark : str
        What must be known before the two are compared; empty if nothing.
    """

    quantity: str
    published: object = None
    measured: object = None
    low: object = None
    high: object = None
    unit: str = ""
    remark: str = ""


def half_width(*parts):
    """How far the 95% interval of a sum of independent numbers reaches to each side, by Student's t.

    An error that is found from three models or ten runs of frames is itself in doubt, and 1.96 of it too little (of
    three, 4.3). The widths of the numbers' own intervals add up in squares, which is exact for one that outweighs the
    others, and else rather too wide (Zou & Donner 2008).

    Parameters
    ----------
    *parts : tuple of (float, float)
        For each, its standard error, and from how many numbers this was found; infinity where from very many.

    Returns
    -------
    float
    """
    return math.hypot(*(float(stats.t.ppf(0.975, n - 1)) * error for error, n in parts))


def least(estimates):
    """The least of several numbers, and a 95% interval of what is the least in truth.

    An interval of the number that came out least would be too low: it is least by its error, too. Each number gets an
    interval such that all hold at once in 95 of 100 cases (Bonferroni), and from these the least ends are taken.

    Parameters
    ----------
    estimates : sequence of (float, float)
        Values and standard errors, of normal numbers that may depend on each other.

    Returns
    -------
    tuple of three floats
        Value, low, high.
    """
    width = stats.norm.ppf(1 - 0.025 / len(estimates))
    lows, highs = ([value + side * width * error for value, error in estimates] for side in (-1, 1))
    return tuple(float(min(some)) for some in ([value for value, _ in estimates], lows, highs))


def cells(row):
    """A row in words, under HEADER.

    Parameters
    ----------
    row : Row

    Returns
    -------
    tuple of str
        The measured number has as many digits as its interval makes sense of.
    """
    ends = [end for end in (row.low, row.high) if end is not None]
    digits = _decimals(row.measured, ends)
    published, measured, interval = "", "", ""
    if isinstance(row.published, (tuple, list)):
        published = f"{row.published[0]:g} to {row.published[1]:g}"
    elif row.published is not None:
        published = row.published if isinstance(row.published, str) else f"{row.published:g}"
    if row.measured is not None:
        measured = f"{row.measured:.{digits}f}"
    if len(ends) == 2:
        interval = f"{row.low:.{digits}f} to {row.high:.{digits}f}"
    return row.quantity, published, measured, interval, row.unit


def _decimals(value, ends):
    """Decimals to write: two digits of the interval's half width, or four of a number that has none."""
    finite = [abs(end - value) for end in ends if value is not None and math.isfinite(end)]
    if width := max(finite, default=0):
        return max(0, 1 - math.floor(math.log10(width)))
    if not value or not math.isfinite(value) or float(value).is_integer():
        return 0
    return max(0, 3 - math.floor(math.log10(abs(value))))
