"""Move the parameters out of the distribution and into the sample, then differentiate the sample."""

from tinyvae.estimators.contract import Draws
from tinyvae.objectives import ImportanceWeighted, Integrand


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


def path_derivative(q, target, eps, objective=None, rng=None):
    """The path derivative ("sticking the landing"): the reparameterization without the explicit score.

        d/dlambda E_q[l(z; lambda)] = E_eps[ dl/dz dz/dlambda ],  since E_q[dlog q(z)/dlambda] = 0

    Differs from `reparameterization` only where the KL is sampled. Wins: close to the exact posterior, where
    log p(x, z) - log q(z) no longer depends on z and the variance goes to zero. Loses: far from it, where
    the dropped term would have cancelled noise. Costs the same. Biased on the importance-weighted bound.

    q: DiagonalGaussian; target: Target; eps: (S, B, K); objective: None or an ELBO. Returns Draws.
    Raises ValueError under ImportanceWeighted, or if the target has no gradient or a shape does not fit.
    Source: Roeder, Wu & Duvenaud 2017.
    """
    if isinstance(objective, ImportanceWeighted):
        raise ValueError("path_derivative is biased on the importance-weighted bound (Tucker et al. 2019); use 'dreg'")
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    dz = loss.grad(z)  # S, B, K
    dparams = q.path(dz, eps)  # S, B, 2K
    return Draws(f, dparams)
