"""A number with its error."""

from typing import NamedTuple

__all__ = ["Estimate"]


class Estimate(NamedTuple):
    """A number and how far it may be off.

    Attributes
    ----------
    value : float
        The estimate, in the unit that whoever returns it tells.
    error : float
        Its standard error, or what takes its place where nothing is random: see whoever returns it.
    """

    value: float
    error: float
