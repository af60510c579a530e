"""The reparameterization without the explicit score: quieter near the posterior."""

from tinyvae.estimators.contract import Draws
from tinyvae.estimators.traits import estimator
from tinyvae.objectives import Integrand

__all__ = ["path_derivative"]


@estimator(objective="average", q=("path",), f=("value", "grad"))
def path_derivative(q, target, eps, objective=None, rng=None):
    """The path derivative ("sticking the landing"): the reparameterization without the explicit score.

        d/dlambda E_q[l(z; lambda)] = E_eps[ dl/dz dz/dlambda ],  since E_q[dlog q(z)/dlambda] = 0

    Differs from `reparameterization` only where the KL is sampled. Wins: close to the exact posterior, where
    log p(x, z) - log q(z) no longer depends on z and the variance goes to zero. Loses: far from it, where
    the dropped term would have cancelled noise. Costs the same. Biased on the importance-weighted bound.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution with `path`
        One for each of B data points.
    target : Target
        f and df/dz.
    eps : array (S, B, K)
        Standard normal noise, in q's dtype.
    objective : ELBO or another that averages, optional
        None takes the plain expectation of f.
    rng : numpy.random.Generator, optional
        Not asked.

    Returns
    -------
    Draws
        f (S, B), nats, and dparams (S, B, 2K).

    Raises
    ------
    ValueError
        Under ImportanceWeighted; if the target has no gradient, q lacks `path`, a shape does not fit, or eps, f or
        df/dz is not finite.
    TypeError
        If `objective` is no objective, or eps is not of q's dtype.

    Notes
    -----
    Source: Roeder, Wu & Duvenaud 2017.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    dz = loss.grad(z)  # S, B, K
    dparams = q.path(dz, eps)  # S, B, 2K
    return Draws(f, dparams)
