"""A published number beside a measured one, and how the two are written."""

import math
from typing import NamedTuple

__all__ = ["Row", "HEADER", "cells"]

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
