"""Move the parameters out of the distribution and into the sample, then differentiate the sample."""

from tinyvae.estimators.contract import Draws
from tinyvae.objectives import Integrand


def reparameterization(q, target, eps, objective=None, rng=None):
    """The reparameterization (pathwise) estimator.

        d/dlambda E_q[f(z)] = E_eps[ f'(z) dz/dlambda ],  z = mu + exp(logvar / 2) eps

    It uses f's slope, so f must be differentiable; its variance follows that slope's, not f's size
    or offset, and hardly grows with the dimension. It loses to the score function where f is bounded but
    wiggly (Mohamed et al. 2020, section 3). Costs one f and one df/dz a sample.

    q: DiagonalGaussian; target: Target; eps: (S, B, K); objective: None or an ELBO. Returns Draws.
    Raises ValueError if the target has no gradient or a shape does not fit.
    Source: Kingma & Welling 2014, section 2.4; Rezende et al. 2014.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    dz = loss.grad(z)  # S, B, K
    dparams = q.path(dz, eps) + loss.explicit(z)  # S, B, 2K
    return Draws(f, dparams)
