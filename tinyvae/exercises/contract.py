"""What a judge is made of: the refusal it raises, and careful ways to call an answer and to read what it returns.

A judge is a function of one argument, the reader's function. It returns None if that is right, else raises `Wrong`.
Exceptions of the answer's own are none of its business: they pass, and who runs the judge reports them.
"""

import copy

import numpy as np

__all__ = ["Wrong", "call", "array", "several", "close", "off"]


class Wrong(AssertionError):
    """A wrong answer: what is wrong with it, and where to look, in one sentence or two; never how to do it right."""


def call(answer, *arguments, **named):
    """What the answer returns for copies of the arguments, so that nothing it does to them is seen by the judge.

    Parameters
    ----------
    answer : callable
        The reader's function.
    *arguments, **named : object
        For it. Functions are handed on as they are, all else is copied, random generators too: twice the
        same one gives twice the same numbers.

    Returns
    -------
    object
        As it came; see `array` and `several`.
    """
    return answer(*copy.deepcopy(arguments), **copy.deepcopy(named))


def array(value, shape=(), what="the result"):
    """A result as an array of finite float64 numbers; lists pass for arrays, and numbers for arrays of shape ().

    Parameters
    ----------
    value : object
        What an answer returned.
    shape : tuple of int
        The expected shape, () for a number.
    what : str
        What it is called in the message.

    Returns
    -------
    array of `shape`
        A copy.

    Raises
    ------
    Wrong
        If it is None, no array of real numbers, of another shape, or not finite.
    """
    shape = tuple(shape)
    wanted = f"an array of shape {shape}" if shape else "a number"
    if value is None:
        raise Wrong(f"{what} is None, expected {wanted}: is there a return?")
    try:
        found = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise Wrong(f"{what} is no array of numbers, perhaps its rows differ in length; expected {wanted}") from error
    if found.dtype.kind not in "iuf":
        kind = type(value).__name__ if found.dtype.kind == "O" or not found.shape else f"array of {found.dtype}"
        raise Wrong(f"{what} is of type {kind}, expected {wanted}")
    if found.shape != shape:
        got = f"has shape {found.shape}" if found.shape else "is a single number"
        raise Wrong(f"{what} {got}, expected {wanted}")
    if not np.isfinite(found).all():
        bad = f"{np.sum(~np.isfinite(found))} of its {found.size} numbers are" if shape else "it is"
        raise Wrong(f"{what} is not finite: {bad} inf or NaN")
    return found.astype(np.float64)


def several(value, n, what="the result"):
    """A result that is made of parts, as a tuple.

    Parameters
    ----------
    value : object
        What an answer returned.
    n : int
        How many parts it must have.
    what : str
        What it is called in the message.

    Returns
    -------
    tuple
        The `n` parts, not looked at.

    Raises
    ------
    Wrong
        If it has no parts, or another number of them.
    """
    try:
        parts = tuple(value)
    except TypeError:
        kind = "None: is there a return?" if value is None else f"of type {type(value).__name__}"
        raise Wrong(f"{what} must have {n} parts, it is {kind}") from None
    if len(parts) != n:
        raise Wrong(f"{what} must have {n} parts, it has {len(parts)}")
    return parts


def close(got, expected, tolerance=1e-4):
    """Whether numbers agree up to rounding, float32's by default.

    Parameters
    ----------
    got, expected : array or float
        Of one shape, else False.
    tolerance : float
        For the largest difference, as a fraction of the largest of the expected numbers.

    Returns
    -------
    bool
        False where a number is not finite.
    """
    got, expected = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if got.shape != expected.shape:
        return False
    scale = np.max(np.abs(expected), initial=0.0) or 1.0  # zeros: as they are
    return bool(np.max(np.abs(got - expected), initial=0.0) <= tolerance * scale)


def off(got, expected):
    """How far a result is off, in words that do not tell the right one: "off by 37%".

    Parameters
    ----------
    got, expected : array or float
        Of one shape.

    Returns
    -------
    str
        The largest difference, as a percentage of the largest of the expected numbers.
    """
    got, expected = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    difference, scale = np.max(np.abs(got - expected), initial=0.0), np.max(np.abs(expected), initial=0.0)
    if not scale:
        return "not zero, as it should be" if difference else "off by 0%"
    return f"off by {float(f'{100 * difference / scale:.2g}'):g}%"
