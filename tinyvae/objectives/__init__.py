"""What is minimised: which terms are taken in closed form, and how the samples' losses combine.

An objective answers these questions. `averages`: is a data point's loss the mean of its samples' losses?
`sampled_kl`: how much of log q(z) - log p(z) is added to each sample's loss? `value` and `weights`: what is the loss of
a data point, given its samples' losses, and with what weight does each enter it? `kl_value` and `kl_weights`: what do
the data points' KLs, latent by latent, cost in closed form, and with what weight does each enter that? Anything that
answers them will do; `Objective` answers the last two for a KL that enters with one weight, `analytic_kl`. One that
changes in training says by `at(step)` what it is at a step, the first being 1.
"""

from tinyvae.objectives.bounds import ELBO, PLAIN, FreeBits, ImportanceWeighted
from tinyvae.objectives.contract import NonFiniteLoss, Objective, answer, at_step, check_objective, finite
from tinyvae.objectives.integrand import Integrand

__all__ = [
    "Objective", "ELBO", "FreeBits", "ImportanceWeighted", "PLAIN", "Integrand", "check_objective", "at_step", "answer",
    "NonFiniteLoss", "finite",
]  # fmt: skip
