"""What is minimised: which terms are taken in closed form, and how the samples' losses combine.

An objective answers these questions. `averages`: is a data point's loss the mean of its samples' losses?
`sampled_kl`: how much of log q(z) - log p(z) is added to each sample's loss? `value` and `weights`: what is the loss of
a data point, given its samples' losses, and with what weight does each enter it? `kl_value` and `kl_weights`: what do
the data points' KLs, latent by latent, cost in closed form, and with what weight does each enter that? Anything that
answers them will do; `Objective` answers the last two for a KL that enters with one weight, `analytic_kl`.
"""

import math
from dataclasses import dataclass

import numpy as np

from tinyvae import validate
from tinyvae.kernels.data import all_finite

__all__ = [
    "Objective",
    "ELBO",
    "ImportanceWeighted",
    "PLAIN",
    "Integrand",
    "check_objective",
    "answer",
    "NonFiniteLoss",
    "finite",
]

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


@dataclass(frozen=True)
class ELBO(Objective):
    """The negative evidence lower bound, its KL weighed by beta; nats a data point, lower is better.

        loss = E_q[-log p(x | z)] + beta KL(q(z | x) || p(z))

    beta = 1 gives the negative evidence lower bound (Kingma & Welling 2014, eq. 3), other values the
    beta-VAE (Higgins et al. 2017).

    Attributes
    ----------
    beta : float
        The KL's weight.
    kl : {"analytic", "monte_carlo"}
        "analytic" takes the KL in closed form (Kingma & Welling 2014, eq. 7, the second SGVB estimator), "monte_carlo"
        averages log q(z) - log p(z) over the samples (eq. 6, the first).

    Raises
    ------
    TypeError
        If beta is not a number.
    ValueError
        If beta is negative or not finite, or kl is another word.
    """

    beta: float = 1.0
    kl: str = "analytic"

    def __post_init__(self):
        object.__setattr__(self, "beta", validate.number("beta", self.beta, least=0))  # frozen
        validate.choice("kl", self.kl, ("analytic", "monte_carlo"))

    @property
    def analytic_kl(self):
        """The weight of the KL that is taken in closed form."""
        return self.beta if self.kl == "analytic" else 0.0

    @property
    def sampled_kl(self):
        """The weight of log q(z) - log p(z) in each sample's loss."""
        return self.beta if self.kl == "monte_carlo" else 0.0


@dataclass(frozen=True)
class ImportanceWeighted(Objective):
    """The importance-weighted bound, nats a data point; lower is better.

        loss = -log 1/S sum_s w_s,  log w_s = log p(x, z_s) - log q(z_s | x)

    S = 1 is the ELBO; the bound tightens as S grows (Burda et al. 2016, eq. 8). A sample's weight is
    w_s / sum_r w_r, its share of the bound's gradient (eq. 13).

    Attributes
    ----------
    averages : bool
        False: the loss is not the mean of the samples' losses, -log w_s.
    analytic_kl : float
        0.
    sampled_kl : float
        1: a sample's loss holds all of log q(z) - log p(z).
    """

    averages = False
    sampled_kl = 1.0

    def value(self, losses):
        """losses (S, B) = -log w -> the loss of each data point, -log mean w, (B,)."""
        least = losses.min(axis=0)  # B: taken out of the sum, so that it neither overflows nor vanishes
        return least - np.log(np.exp(least - losses).mean(axis=0))

    def weights(self, losses):
        """losses (S, B) = -log w -> w / sum w, (S, B)."""
        weights = np.exp(losses.min(axis=0) - losses)  # S, B
        return weights / weights.sum(axis=0)


PLAIN = ELBO(beta=0.0)  # the plain expectation E_q[f]: what `objective=None` means


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


class Integrand:
    """What an estimator averages.

        l(z; lambda) = f(z) + beta [log q(z; lambda) - log p(z)]

    beta is the objective's `sampled_kl`; with an analytic KL, l is f. `__call__` and `grad` are the
    value and dl/dz, of the dtypes of f and df/dz, whatever the prior's is. `explicit` is the other way
    in which l depends on q's parameters, dl/dlambda with z held: beta times the score.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution
        One for each of B data points.
    target : Target
        f.
    objective : ELBO, ImportanceWeighted, another objective, or None
        None takes the plain expectation of f.

    Attributes
    ----------
    q : DiagonalGaussian or another distribution
        As given.
    target : Target
        As given.
    objective : ELBO, ImportanceWeighted or another objective
        As given; `PLAIN` for None.
    beta : float
        The objective's `sampled_kl`.

    Raises
    ------
    TypeError
        If `objective` is no objective.
    """

    def __init__(self, q, target, objective):
        self.q, self.target, self.objective = q, target, objective or PLAIN
        check_objective(self.objective)
        self.beta = float(self.objective.sampled_kl)

    def __call__(self, z):
        """l(z), nats. z (S, B, K) -> (S, B)."""
        return self.from_target(self.target(z), z)

    def from_target(self, f, z):
        """l(z) where f(z) is known already, nats. f (S, B), z (S, B, K) -> (S, B)."""
        return (f + self.beta * self.q.log_ratio(z)).astype(f.dtype, copy=False) if self.beta else f

    def grad(self, z):
        """dl/dz. z (S, B, K) -> (S, B, K)."""
        dz = self.target.grad(z)
        return (dz + self.beta * self.q.log_ratio_grad(z)).astype(dz.dtype, copy=False) if self.beta else dz

    def explicit(self, z):
        """dl/dparams with z held. z (S, B, K) -> (S, B, P), or 0 if beta is."""
        return self.beta * self.q.score(z) if self.beta else 0

    def weigh(self, losses, contributions):
        """Each sample's contribution, times S times its weight in the objective: 1 in an average.

        losses (S, B), nats; contributions (S, B, P) -> (S, B, P).
        """
        if self.objective.averages:
            return contributions
        weights = answer(self.objective, "weights", losses, losses.shape, losses.dtype)
        return len(losses) * weights[..., None] * contributions


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
