"""What an objective is asked, and its answers checked."""

import math

import numpy as np

from tinyvae import validate
from tinyvae.kernels.data import all_finite

__all__ = ["Objective", "check_objective", "at_step", "answer", "NonFiniteLoss", "finite"]

QUESTIONS = ("averages", "sampled_kl", "value", "weights", "kl_value", "kl_weights")


class Objective:
    """An average over samples, without a KL: what an objective of one's own may start from (see `ELBO`).

    Attributes
    ----------
    averages : bool
        Whether a data point's loss is the mean of its samples' losses: True.
    analytic_kl : float
        The weight of the KL that is taken in closed form: 0.
    sampled_kl : float
        The weight of log q(z) - log p(z) in each sample's loss: 0.
    """

    averages = True
    analytic_kl = 0.0
    sampled_kl = 0.0

    def value(self, losses):
        """losses (S, B), nats -> the loss of each data point, their mean, (B,)."""
        return losses.sum(axis=0) / len(losses)

    def weights(self, losses):
        """losses (S, B) -> each sample's weight in its data point's loss, 1/S, (S, B)."""
        return np.full(losses.shape, 1 / len(losses), losses.dtype)

    def kl_value(self, q):
        """What KL(q || p), taken in closed form, adds to a data point's loss: its mean over the batch, nats, float."""
        return self.analytic_kl * (float(q.kl().sum()) / len(q.params))

    def kl_weights(self, q):
        """The slope of a data point's `kl_value` in each of its KLs, `q.kl_by_latent()`: a number, or (B, K)."""
        return self.analytic_kl

    def at(self, step):
        """What it is at a step of training, from 1: itself, always."""
        return self


def check_objective(objective):
    """Raise unless `objective` answers the questions above.

    Parameters
    ----------
    objective : ELBO, ImportanceWeighted or another objective

    Raises
    ------
    TypeError
        If it is a class, or lacks `averages`, `sampled_kl`, `value`, `weights`, `kl_value` or `kl_weights`; the message
        names what is missing.
    """
    if isinstance(objective, Objective):
        return
    missing = [question for question in QUESTIONS if not hasattr(objective, question)]
    if isinstance(objective, type) or len(missing) == len(QUESTIONS):
        raise TypeError(f"objective must be an objective such as tv.ELBO(), got {objective!r}")
    if missing:
        raise TypeError(
            f"objective must be an objective such as tv.ELBO(), got {objective!r}, which lacks {', '.join(missing)}: "
            "derive it from tv.objectives.Objective"
        )


def at_step(objective, step):
    """What an objective is at a step of training: what its `at` says, or itself where it says nothing.

    Parameters
    ----------
    objective : ELBO, ImportanceWeighted or another objective
    step : int
        From 1.

    Returns
    -------
    objective
    """
    return objective.at(step) if hasattr(objective, "at") else objective


def answer(objective, question, of, shape, dtype=None):
    """What an objective answers, checked: of another shape, what is made of it would be a wrong number.

    Parameters
    ----------
    objective : ELBO, ImportanceWeighted or another objective
    question : str
        "value", "weights" or "kl_value".
    of : array (S, B) or distribution
        What it is asked about.
    shape : tuple of int
        The answer's.
    dtype : numpy.dtype, optional
        What it is converted to; None leaves it.

    Returns
    -------
    array of that shape, or float

    Raises
    ------
    TypeError
        If it is complex, masked or no number.
    ValueError
        If it has another shape.
    """
    found = getattr(objective, question)(of)
    if type(found) is float and shape == ():
        return found
    name = f"the objective's {question}"
    found = validate.real(name, found, dtype)
    validate.check_shape(name, found, shape)
    return found


class NonFiniteLoss(ArithmeticError):
    """A term of the loss became NaN or infinite; the message names it."""


def finite(term, value):
    """`value`, if all of it is finite.

    Parameters
    ----------
    term : str
        What it is called in the message.
    value : float or array
        Any shape.

    Returns
    -------
    float or array
        `value` itself.

    Raises
    ------
    NonFiniteLoss
        If any of it is NaN or infinite.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NonFiniteLoss(f"{term} became {value}")
    elif not all_finite(value.ravel()):
        raise NonFiniteLoss(f"{term} became {'inf' if np.isinf(value).any() else 'nan'}")
    return value
