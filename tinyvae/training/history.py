"""What a training run leaves behind: a record a step, a validation an epoch."""

from typing import NamedTuple

import numpy as np

__all__ = ["Record", "Validation", "History"]


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
    loss, reconstruction, kl, seconds : array (n_steps,)
        Those of the records.
    """

    def __init__(self):
        self.records, self.validation, self.interrupted = [], [], False

    loss = property(lambda self: self._column("loss"), doc="The loss of each step, nats, (n_steps,).")
    reconstruction = property(lambda self: self._column("reconstruction"), doc="Its first term, nats, (n_steps,).")
    kl = property(lambda self: self._column("kl"), doc="The KL of each step, nats, (n_steps,).")
    seconds = property(lambda self: self._column("seconds"), doc="Seconds spent in steps so far, (n_steps,).")

    def _column(self, name):
        return np.array([getattr(record, name) for record in self.records])
