"""What is minimised: which terms are taken in closed form, and how the samples' losses combine.

An objective answers three questions. `analytic_kl`: how much of KL(q || p) is added in closed form?
`sampled_kl`: how much of log q(z) - log p(z) is added to each sample's loss? `combine`: what is the
loss of a data point, given its samples' losses, and with what weight does each sample enter it?
"""

from dataclasses import dataclass

import numpy as np

from tinyvae import validate


@dataclass(frozen=True)
class ELBO:
    """loss = E_q[-log p(x | z)] + beta KL(q(z | x) || p(z)), nats a data point; lower is better.

    beta = 1 gives the negative evidence lower bound (Kingma & Welling 2014, eq. 3), other values the
    beta-VAE (Higgins et al. 2017). kl = "analytic" takes the KL in closed form (their eq. 7, the
    second SGVB estimator), kl = "monte_carlo" averages log q(z) - log p(z) over the samples (eq. 6,
    the first).
    """

    beta: float = 1.0
    kl: str = "analytic"

    def __post_init__(self):
        validate.number("beta", self.beta, least=0)
        validate.choice("kl", self.kl, ("analytic", "monte_carlo"))

    @property
    def analytic_kl(self):
        return self.beta if self.kl == "analytic" else 0.0

    @property
    def sampled_kl(self):
        return self.beta if self.kl == "monte_carlo" else 0.0

    def combine(self, losses):
        """losses (S, B) -> the loss of each data point, their mean (B,), and each sample's weight, 1/S (S, B)."""
        return losses.mean(axis=0), np.full_like(losses, 1 / len(losses))


PLAIN = ELBO(beta=0.0)  # the plain expectation E_q[f]: what `objective=None` means


class Integrand:
    """What an estimator averages: l(z; lambda) = f(z) + beta [log q(z; lambda) - log p(z)].

    beta is the objective's `sampled_kl`; with an analytic KL, l is f. `__call__` and `grad` are the
    value and dl/dz. `explicit` is the other way in which l depends on q's parameters, dl/dlambda
    with z held: beta times the score.
    """

    def __init__(self, q, target, objective):
        self.q, self.target, self.beta = q, target, (objective or PLAIN).sampled_kl

    def __call__(self, z):
        """l(z), z (S, B, K) -> (S, B)."""
        f = self.target(z)
        return f + self.beta * self.q.log_ratio(z) if self.beta else f

    def grad(self, z):
        """dl/dz, (S, B, K)."""
        dz = self.target.grad(z)
        return dz + self.beta * self.q.log_ratio_grad(z) if self.beta else dz

    def explicit(self, z):
        """dl/d[mu, logvar] with z held, (S, B, 2K), or 0."""
        return self.beta * self.q.score(z) if self.beta else 0
