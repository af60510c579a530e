"""Leave the sample alone and weigh the score of the distribution with f."""

from tinyvae.estimators.contract import Draws, check_samples
from tinyvae.objectives import Integrand


def score_function(q, target, eps, objective=None, rng=None):
    """The score-function estimator (REINFORCE, likelihood ratio).

        d/dlambda E_q[f(z)] = E_q[ f(z) dlog q(z)/dlambda ]

    It needs f's value only, so f may be a black box or have jumps. Its variance grows with f's size,
    even with a constant added to f, and with the dimension. Costs one f a sample. (With a sampled KL, f is
    the whole integrand; its explicit derivative beta dlog q/dlambda has mean zero and is left out.)

    q: DiagonalGaussian; target: Target; eps: (S, B, K); objective: None or an ELBO. Returns Draws.
    Raises ValueError if a shape does not fit.
    Source: Williams 1992; Paisley et al. 2012; Kingma & Welling 2014, section 2.2.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    dparams = f[..., None] * q.score(z)  # S, B, 2K
    return Draws(f, dparams)


def leave_one_out(q, target, eps, objective=None, rng=None):
    """The score function with, as each sample's baseline, the mean of the *other* samples (RLOO, VarGrad).

        d/dlambda E_q[f(z)] = E[ 1/S sum_s (f(z_s) - b_s) dlog q(z_s)/dlambda ],  b_s = 1/(S-1) sum_{r != s} f(z_r)

    A constant added to f no longer matters. Unbiased, because b_s does not depend on z_s; hence the
    samples must be independent. Costs one f a sample and needs two samples or more.

    q: DiagonalGaussian; target: Target; eps: (S, B, K), S >= 2; objective: None or an ELBO. Returns Draws.
    Raises ValueError if S < 2 or a shape does not fit.
    Source: Salimans & Knowles 2014; Kool et al. 2019; Richter et al. 2020.
    """
    check_samples("leave_one_out", eps, least=2)
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    baseline = (f.sum(axis=0) - f) / (len(f) - 1)  # S, B
    dparams = (f - baseline)[..., None] * q.score(z)  # S, B, 2K
    return Draws(f, dparams)
