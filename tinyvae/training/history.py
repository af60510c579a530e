"""What a training run leaves behind: a record a step, a validation an epoch."""

from typing import NamedTuple

import numpy as np


class Record(NamedTuple):
    """One step: losses are minibatch means in nats, taken before the update; seconds are spent in steps so far."""

    step: int
    epoch: int
    loss: float
    reconstruction: float
    kl: float
    seconds: float


class Validation(NamedTuple):
    """The negative ELBO on held-out data after an epoch, nats a data point."""

    epoch: int
    step: int
    seconds: float
    loss: float
    reconstruction: float
    kl: float


class History:
    """What `fit` returns: records, a Record a step; validation, a Validation an epoch; interrupted, by Ctrl-C.

    loss, reconstruction, kl, seconds: each an array over the steps.
    """

    def __init__(self):
        self.records, self.validation, self.interrupted = [], [], False

    loss = property(lambda self: self._column("loss"))
    reconstruction = property(lambda self: self._column("reconstruction"))
    kl = property(lambda self: self._column("kl"))
    seconds = property(lambda self: self._column("seconds"))

    def _column(self, name):
        return np.array([getattr(record, name) for record in self.records])
