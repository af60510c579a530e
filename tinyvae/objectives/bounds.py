"""The objectives: the negative ELBO and its variants, and the importance-weighted bound."""

from dataclasses import dataclass

import numpy as np

from tinyvae import schedules, validate
from tinyvae.objectives.contract import Objective

__all__ = ["ELBO", "FreeBits", "ImportanceWeighted", "PLAIN"]


@dataclass(frozen=True)
class ELBO(Objective):
    """The negative evidence lower bound, its KL weighed by beta; nats a data point, lower is better.

        loss = E_q[-log p(x | z)] + beta KL(q(z | x) || p(z))

    beta = 1 gives the negative evidence lower bound (Kingma & Welling 2014, eq. 3), other values the
    beta-VAE (Higgins et al. 2017).

    Attributes
    ----------
    beta : float or function of the step
        The KL's weight; where it changes in training (KL annealing: Bowman et al. 2016), a schedule such as
        tv.schedules.Linear(0, 1, n_steps). Such an ELBO is for `tv.train` only; elsewhere give `objective.at(step)`.
    kl : {"analytic", "monte_carlo"}
        "analytic" takes the KL in closed form (Kingma & Welling 2014, eq. 7, the second SGVB estimator), "monte_carlo"
        averages log q(z) - log p(z) over the samples (eq. 6, the first).

    Raises
    ------
    TypeError
        If beta is neither a number nor a function, or is asked for while it is a function.
    ValueError
        If beta is negative or not finite, or kl is another word.
    """

    beta: float = 1.0
    kl: str = "analytic"

    def __post_init__(self):
        object.__setattr__(self, "beta", schedules.checked("beta", self.beta, least=0))  # frozen
        validate.choice("kl", self.kl, ("analytic", "monte_carlo"))

    @property
    def analytic_kl(self):
        """The weight of the KL that is taken in closed form."""
        return self._number() if self.kl == "analytic" else 0.0

    @property
    def sampled_kl(self):
        """The weight of log q(z) - log p(z) in each sample's loss."""
        return self._number() if self.kl == "monte_carlo" else 0.0

    def at(self, step):
        """What it is at a step of training, from 1: an ELBO whose beta is a number."""
        return ELBO(schedules.at("beta", self.beta, step, least=0), self.kl) if callable(self.beta) else self

    def _number(self):
        if callable(self.beta):
            raise TypeError(
                f"beta is a function of the step, {self.beta!r}: outside of training give objective.at(step)"
            )
        return self.beta


@dataclass(frozen=True)
class FreeBits(Objective):
    """The negative ELBO, except that a latent's KL, averaged over the batch, costs at least `free`; nats a data point.

        loss = E_q[-log p(x | z)] + sum_k max(free, mean_b KL_k(q(z | x_b) || p(z)))

    Below `free` a latent's KL has no slope: it need not collapse while the decoder is still learning to use it (Kingma
    et al. 2016, section C.8). The KL is taken in closed form. With a small batch its mean, and so what is free, is
    noisy.

    Attributes
    ----------
    free : float
        lambda, nats a latent; 0 gives the ELBO.

    Raises
    ------
    TypeError
        If `free` is not a number.
    ValueError
        If it is negative or not finite.
    """

    free: float

    def __post_init__(self):
        object.__setattr__(self, "free", validate.number("free", self.free, least=0))  # frozen

    def kl_value(self, q):
        """sum_k max(free, the batch's mean of latent k's KL), nats, float."""
        return float(np.maximum(q.kl_by_latent().mean(axis=0), self.free).sum())

    def kl_weights(self, q):
        """1 for the KLs of the latents that cost more than `free`, else 0: (B, K)."""
        kl = q.kl_by_latent()
        return np.broadcast_to((kl.mean(axis=0) > self.free).astype(kl.dtype), kl.shape)


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
