"""What a training run leaves behind, a record a step and a validation an epoch, and an epoch of it in words."""

import sys
from typing import NamedTuple

import numpy as np

from tinyvae.objectives import ELBO, at_step

__all__ = ["Record", "Validation", "History", "summary", "is_elbo", "say"]


class Record(NamedTuple):
    """One step of training.

    Attributes
    ----------
    step : int
        From 1, counted through all epochs.
    epoch : int
        From 1.
    loss, reconstruction, kl : float
        Minibatch means, nats, taken before the update.
    seconds : float
        Spent in steps so far.
    """

    step: int
    epoch: int
    loss: float
    reconstruction: float
    kl: float
    seconds: float


class Validation(NamedTuple):
    """The negative ELBO on held-out data after an epoch.

    Attributes
    ----------
    epoch : int
        From 1.
    step : int
        The epoch's last.
    seconds : float
        Spent in training steps so far.
    loss, reconstruction, kl : float
        Nats a data point; loss = reconstruction + kl.
    """

    epoch: int
    step: int
    seconds: float
    loss: float
    reconstruction: float
    kl: float


class History:
    """What `fit` returns.

    Attributes
    ----------
    records : list of Record
        One a step.
    validation : list of Validation
        One an epoch; empty without held-out data.
    interrupted : bool
        Whether Ctrl-C ended the run.
    stopped : bool
        Whether early stopping ended it.
    best : Validation or None
        The first of the lowest loss.
    loss, reconstruction, kl, seconds : array (n_steps,)
        Those of the records.
    """

    def __init__(self):
        self.records, self.validation, self.interrupted, self.stopped = [], [], False, False

    loss = property(lambda self: self._column("loss"), doc="The loss of each step, nats, (n_steps,).")
    reconstruction = property(lambda self: self._column("reconstruction"), doc="Its first term, nats, (n_steps,).")
    kl = property(lambda self: self._column("kl"), doc="The KL of each step, nats, (n_steps,).")
    seconds = property(lambda self: self._column("seconds"), doc="Seconds spent in steps so far, (n_steps,).")

    @property
    def best(self):
        """The first Validation of the lowest loss; None without any."""
        return min(self.validation, key=lambda row: row.loss, default=None)

    def _column(self, name):
        return np.array([getattr(record, name) for record in self.records])


def summary(records, objective=ELBO()):
    """One line on an epoch's records.

    Parameters
    ----------
    records : list of Record
        One a step.
    objective : ELBO, ImportanceWeighted or another objective, or None
        What was minimised; None of a model without a KL.

    Returns
    -------
    str
        The mean loss and its two terms, nats; their sum is the loss where the KL is taken in closed form, else they
        stand beside it. Of a beta that changes, its last value.
    """
    loss, reconstruction, kl = (
        np.mean([getattr(r, name) for r in records]) for name in ("loss", "reconstruction", "kl")
    )
    if objective is None:
        return f"loss {loss:.2f}"
    if callable(getattr(objective, "beta", None)):
        last = f", beta {at_step(objective, records[-1].step).beta:.3g}"
        return f"loss {loss:.2f}; reconstruction {reconstruction:.2f}, KL {kl:.2f}{last}"
    if isinstance(objective, ELBO) and objective.kl == "analytic":
        weight = "" if objective.beta == 1 else f"{objective.beta:g} x "
        return f"loss {loss:.2f} = reconstruction {reconstruction:.2f} + {weight}KL {kl:.2f}"
    return f"loss {loss:.2f}; reconstruction {reconstruction:.2f}, KL {kl:.2f}"


def is_elbo(objective):
    """Whether an objective is the negative ELBO itself, so that a validation is of the same kind as the loss.

    Parameters
    ----------
    objective : ELBO, ImportanceWeighted or another objective, or None
        None, of a model without a KL, whose validation is of the loss's kind, too.

    Returns
    -------
    bool
    """
    return objective is None or isinstance(objective, ELBO) and objective.beta == 1


def say(line):
    """Print a line to the standard error stream, if there is one: it may have been closed before Python started.

    Parameters
    ----------
    line : str
    """
    if sys.stderr is not None:  # which to `print` is the standard output
        print(line, file=sys.stderr)
