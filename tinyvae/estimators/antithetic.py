"""The score function on pairs of samples, each member made from the other's noise: what they share cancels.

Both samples have the distribution q, and where a latent comes out alike in both it says nothing of its logit. The
second evaluation of f belongs to the estimator: it works for a single sample a data point. Of bits, antithetic noise
on top (`tv.noise`) brings nothing: it mirrors eps, too, and so its second samples repeat the first.
"""

from tinyvae.estimators.contract import Draws
from tinyvae.estimators.traits import estimator
from tinyvae.objectives import Integrand

__all__ = ["arm", "disarm"]


@estimator(objective="average", q=("augmented_score",))
def arm(q, target, eps, objective=None, rng=None):
    """Augment-REINFORCE-merge: the score function of the uniform noise behind a bit, at eps and at 1 - eps.

        d/dlogits E_q[f] = E[f(z(eps)) (2 eps - 1)] = E[ 1/2 (f(z(eps)) - f(z(1 - eps))) (2 eps - 1) ]

    Merging the two halves the sum: a bit that is alike in both gets noise of mean zero, and a constant added to f no
    longer matters. Wins: over the score function without a good baseline; with fair bits. Loses: to `disarm`, always,
    whose estimate is this one's mean given the two samples. Costs two f a sample, and bits alone have such a noise.

    Parameters
    ----------
    q : Binary or another distribution with `augmented_score`
        One for each of B data points.
    target : Target
        f; df/dz is not asked.
    eps : array (S, B, K)
        Uniform noise, in q's dtype.
    objective : ELBO or another that averages, optional
        None takes the plain expectation of f.
    rng : numpy.random.Generator, optional
        Not asked.

    Returns
    -------
    Draws
        f (S, B), nats, at z(eps), and dparams (S, B, P).

    Raises
    ------
    ValueError
        Under ImportanceWeighted; if q lacks `augmented_score`, a shape does not fit, or f is not finite.
    TypeError
        If `objective` is no objective, or eps is not of q's dtype.

    Notes
    -----
    Source: Yin & Zhou 2019, theorem 1.
    """
    loss = Integrand(q, target, objective)
    f = loss(q.sample(eps))  # S, B
    mirrored = loss(q.sample(1 - eps))  # S, B
    dparams = 0.5 * (f - mirrored)[..., None] * q.augmented_score(eps)  # S, B, P
    return Draws(f, dparams)


@estimator(objective="average", q=("coupled", "score"))
def disarm(q, target, eps, objective=None, rng=None):
    """The leave-one-out estimator of two samples that differ where they can, weighed back (DisARM, U2G).

        1/2 (f(z) - f(z')) w_k (score_k(z) - score_k(z')),  w_k = q(z_k) q(z'_k) / P(z_k, z'_k)

    Of two independent samples this is leave-one-out, w = 1. Here z'_k is coupled to z_k, P being their joint
    probability, which has q on either side: a bit has its noise mirrored, P(1, 0) = P(0, 1) = min(p, 1 - p), w =
    max(p, 1 - p); a group of more ways, a stick that is broken with mirrored noise. Latents that come out alike in both
    give nothing. Wins: over leave-one-out of two, and over `arm`; of one fair bit it has no variance at all. Loses: to
    a control variate that uses df/dz, where f is nearly linear. Costs two f a sample.

    Parameters
    ----------
    q : Binary, Categorical or another distribution with `coupled` and `score`
        One for each of B data points.
    target : Target
        f; df/dz is not asked.
    eps : array (S, B, ...)
        Uniform noise, in q's dtype.
    objective : ELBO or another that averages, optional
        None takes the plain expectation of f.
    rng : numpy.random.Generator, optional
        Not asked.

    Returns
    -------
    Draws
        f (S, B), nats, at z = q.sample(eps), and dparams (S, B, P).

    Raises
    ------
    ValueError
        Under ImportanceWeighted; if q lacks `coupled` or `score`, a shape does not fit, or f is not finite.
    TypeError
        If `objective` is no objective, or eps is not of q's dtype.

    Notes
    -----
    Source: Dong, Mnih & Tucker 2020; Yin et al. 2020; for more ways, and as importance weights, Dong, Mnih & Tucker
    2021.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    other, weights = q.coupled(eps)  # S, B, K and S, B, P
    f = loss(z)  # S, B
    difference = q.score(z) - q.score(other)  # S, B, P
    dparams = 0.5 * (f - loss(other))[..., None] * weights * difference  # S, B, P
    return Draws(f, dparams)
