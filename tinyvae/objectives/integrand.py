"""What an estimator averages: the target, and what the objective adds to it."""

from tinyvae.objectives.bounds import PLAIN
from tinyvae.objectives.contract import answer, check_objective

__all__ = ["Integrand"]


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
