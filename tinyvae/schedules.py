"""Numbers that change in training, as functions of the step: a learning rate, the KL's weight.

A schedule is any function of the step, the first being 1. Those below are told apart by their arguments, so that a
checkpoint can compare them; a function of your own is compared by its code and what it closes over.
"""

import functools
import inspect
import math
from dataclasses import dataclass

from tinyvae import validate

__all__ = ["Constant", "Linear", "Steps", "Cosine", "Burda", "checked", "at", "words"]


@dataclass(frozen=True)
class Constant:
    """The same number at every step.

    Attributes
    ----------
    value : float
    """

    value: float

    def __post_init__(self):
        _fit(self, ("value",))

    def __call__(self, step):
        return self.value


@dataclass(frozen=True)
class Linear:
    """From `start` at the first step along a line to `stop` after `n_steps`, and `stop` from then on: a warm-up.

    Attributes
    ----------
    start, stop : float
    n_steps : int
        How many steps are not at `stop` yet.
    """

    start: float
    stop: float
    n_steps: int

    def __post_init__(self):
        _fit(self, ("start", "stop"), ("n_steps",))

    def __call__(self, step):
        return self.start + (self.stop - self.start) * min(1.0, (step - 1) / self.n_steps)


@dataclass(frozen=True)
class Steps:
    """`value` times `factor` after each `n_steps`.

    Attributes
    ----------
    value, factor : float
    n_steps : int
        How long it stays the same.
    """

    value: float
    factor: float
    n_steps: int

    def __post_init__(self):
        _fit(self, ("value", "factor"), ("n_steps",))

    def __call__(self, step):
        return self.value * self.factor ** ((step - 1) // self.n_steps)


@dataclass(frozen=True)
class Cosine:
    """Half a wave from `value` at the first step to `last` after `n_steps`, and `last` from then on.

        last + (value - last) (1 + cos(pi (step - 1) / n_steps)) / 2

    Attributes
    ----------
    value, last : float
    n_steps : int
        The length of the run.

    Notes
    -----
    Source: Loshchilov & Hutter 2017, eq. 5, without restarts.
    """

    value: float
    n_steps: int
    last: float = 0.0

    def __post_init__(self):
        _fit(self, ("value", "last"), ("n_steps",))

    def __call__(self, step):
        return self.last + (self.value - self.last) * (1 + math.cos(math.pi * min(1.0, (step - 1) / self.n_steps))) / 2


@dataclass(frozen=True)
class Burda:
    """Eight stages: 3^i passes over the data at value 10^(-i/7), i = 0, ..., 7; 3,280 passes in all.

    Attributes
    ----------
    value : float
        Of the first pass; the last stage's, which goes on, is a tenth of it.
    n_batches : int
        Steps a pass.

    Notes
    -----
    Source: Burda et al. 2016, section 5, with value = 1e-3.
    """

    value: float
    n_batches: int

    def __post_init__(self):
        _fit(self, ("value",), ("n_batches",))

    def __call__(self, step):
        passes, stage = (step - 1) // self.n_batches, 0  # whole passes before this step
        while stage < 7 and passes >= 3**stage:
            passes, stage = passes - 3**stage, stage + 1
        return self.value * 10 ** (-stage / 7)


def _fit(schedule, numbers, counts=()):
    for name in numbers:
        object.__setattr__(schedule, name, validate.number(name, getattr(schedule, name)))  # frozen
    for name in counts:
        object.__setattr__(schedule, name, validate.integer(name, getattr(schedule, name), least=1))


def checked(name, value, **limits):
    """A number within limits, or a function of the step whose first value is one.

    Parameters
    ----------
    name : str
        What it is called in a message.
    value : float or function
    **limits
        Those of `validate.number`.

    Returns
    -------
    float or function

    Raises
    ------
    TypeError, ValueError
        If it is neither, or its value at the first step does not fit.
    """
    if not callable(value):
        return validate.number(name, value, **limits)
    if isinstance(value, type):
        raise TypeError(f"{name} must be a number or a function of the step, got the class {value.__name__}")
    at(name, value, 1, **limits)
    return value


def at(name, value, step, **limits):
    """A number, or what a function of the step gives at one.

    Parameters
    ----------
    name : str
        What it is called in a message.
    value : float or function
    step : int
        From 1.
    **limits
        Those of `validate.number`.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If what the function gives is no number within the limits.
    """
    return validate.number(f"{name} at step {step}", value(step), **limits) if callable(value) else value


def words(value):
    """A number or a schedule in words, for a repr: a function by its name.

    Parameters
    ----------
    value : float or function

    Returns
    -------
    str
    """
    if isinstance(value, functools.partial):
        given = [*map(repr, value.args), *(f"{name}={one!r}" for name, one in value.keywords.items())]
        return f"partial({', '.join([words(value.func), *given])})"
    return value.__qualname__ if inspect.isroutine(value) else repr(value)
