"""Move the parameters out of the distribution and into the sample, then differentiate the sample."""

from tinyvae.estimators.contract import Draws, estimator
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

    q: DiagonalGaussian; target: Target; eps: (S, B, K); objective: None, an ELBO or ImportanceWeighted. Returns Draws.
    Raises ValueError if the target has no gradient or a shape does not fit.
    Source: Kingma & Welling 2014, section 2.4; Rezende et al. 2014.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    dz = loss.grad(z)  # S, B, K
    dparams = loss.weigh(f, q.path(dz, eps) + loss.explicit(z))  # S, B, 2K
    return Draws(f, dparams)
