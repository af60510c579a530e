"""What a training run leaves behind, a record a step and a validation an epoch, and an epoch of it in words."""

import sys
from typing import NamedTuple

import numpy as np

from tinyvae.objectives import ELBO, at_step

__all__ = [
    "Record",
    "Validation",
    "History",
    "summary",
    "collapsed",
    "is_elbo",
    "say",
    "COLLAPSED",
    "FREE_BITS",
    "DISCRETE_STEPS",
]

NOTHING = 0.05  # nats of KL, in all: less cannot tell one data point from another
STALLED = 0.1  # of what the reconstruction has come down since the first epoch
EPOCHS, STEPS = 3, 40  # over which the KL stays so low and the reconstruction stalls, at least
DISCRETE_STEPS = 200  # the same of bits and choices, which lie still for longer before they are found
COLLAPSED = (
    "KL {:.3f} nats: the posterior has collapsed, the codes tell next to nothing about x and the decoder does without "
    "them. What helps: a smaller beta, a warm-up (tv.ELBO(tv.schedules.Linear(0, 1, n_steps)))"
)
FREE_BITS = ", free bits (tv.FreeBits(0.1))"  # which a model that takes no other weights for its KL cannot take


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


def summary(records, objective=ELBO(), term="reconstruction"):
    """One line on an epoch's records.

    Parameters
    ----------
    records : list of Record
        One a step.
    objective : ELBO, ImportanceWeighted or another objective, or None
        What was minimised; None of a model without a KL.
    term : str
        What the reconstruction term is called, see `likelihoods.term`.

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
        return f"loss {loss:.2f}; {term} {reconstruction:.2f}, KL {kl:.2f}{last}"
    if isinstance(objective, ELBO) and objective.kl == "analytic":
        weight = "" if objective.beta == 1 else f"{objective.beta:g} x "
        return f"loss {loss:.2f} = {term} {reconstruction:.2f} + {weight}KL {kl:.2f}"
    return f"loss {loss:.2f}; {term} {reconstruction:.2f}, KL {kl:.2f}"


def collapsed(records, n_batches, n_steps=STEPS):
    """The KL of a run whose posterior has collapsed: it is next to nothing, does not grow, and nothing else improves.

    Looked at are the last epochs, three or as many as `n_steps` take, beside as many before them. In a slow start the
    KL grows, or the reconstruction comes down; in a warm-up the KL is large.

    Parameters
    ----------
    records : list of Record
        Of whole epochs.
    n_batches : int
        Steps an epoch.
    n_steps : int
        In which nothing happens.

    Returns
    -------
    float or None
        Nats, the last epoch's; None where it has not collapsed, or the run is too short to tell.
    """
    n_epochs, n = len(records) // n_batches, max(EPOCHS, -(-n_steps // n_batches))
    last = records[-n_batches:]
    if n_epochs < 2 * n or np.mean([r.kl for r in last]) >= NOTHING:  # nearly always, and quickly told
        return None
    terms = np.array([(r.kl, r.reconstruction) for r in records[: n_epochs * n_batches]])
    kl, reconstruction = terms.reshape(n_epochs, n_batches, 2).mean(axis=1).T  # n_epochs each
    before, now = slice(-2 * n, -n), slice(-n, None)
    stalled = reconstruction[before].mean() - reconstruction[now].mean() < STALLED * np.ptp(reconstruction)
    grows = kl[now].mean() > 1.5 * kl[before].mean()
    return float(kl[-1]) if kl[now].max() < NOTHING and stalled and not grows else None


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
