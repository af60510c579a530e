"""Move the parameters out of the distribution and into the sample, then differentiate the sample."""

from tinyvae.estimators.contract import Draws
from tinyvae.estimators.traits import estimator
from tinyvae.objectives import Integrand

__all__ = ["reparameterization"]


@estimator(objective="any", q=("path",), f=("value", "grad"))
def reparameterization(q, target, eps, objective=None, rng=None):
    """The reparameterization (pathwise) estimator.

        d/dlambda E_q[f(z)] = E_eps[ f'(z) dz/dlambda ],  z = mu + exp(logvar / 2) eps

    Wins: f is differentiable and smooth; the variance follows f's slope, not its size or offset, and
    hardly grows with the dimension. Loses: f is bounded but wiggly (Mohamed et al. 2020, section 3), or
    has jumps, where it is wrong. Costs one f and one df/dz a sample. Where the KL is sampled, this is the total
    derivative, the explicit dlog q/dlambda included. Under ImportanceWeighted each sample's share is its
    normalised weight (Burda et al. 2016, eq. 13), and the signal-to-noise ratio falls with S (Rainforth
    et al. 2018).

    Parameters
    ----------
    q : DiagonalGaussian or another distribution with `path`
        One for each of B data points.
    target : Target
        f and df/dz.
    eps : array (S, B, K)
        Standard normal noise, in q's dtype.
    objective : ELBO or ImportanceWeighted, optional
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
        If the target has no gradient, q lacks `path`, a shape does not fit, or eps, f or df/dz is not finite.
    TypeError
        If `objective` is no objective, or eps is not of q's dtype.

    Notes
    -----
    Source: Kingma & Welling 2014, section 2.4; Rezende et al. 2014.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    dz = loss.grad(z)  # S, B, K
    dparams = loss.weigh(f, q.path(dz, eps) + loss.explicit(z))  # S, B, 2K
    return Draws(f, dparams)
