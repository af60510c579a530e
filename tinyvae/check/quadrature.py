"""Quadrature: for what is an expectation over a few latents."""

import numpy as np

from tinyvae import estimators as registry
from tinyvae import validate, variance
from tinyvae.distributions import DiagonalGaussian
from tinyvae.objectives import ELBO, PLAIN, ImportanceWeighted, Integrand


def gauss_hermite(n_nodes, n_latents):
    """Nodes and weights with sum_i w_i f(eps_i) = E[f(eps)], eps ~ N(0, I).

    Exact for polynomials of degree up to 2 n_nodes - 1 in each latent. Returns eps (n_nodes^n_latents, n_latents)
    and weights (n_nodes^n_latents,), float64. Source: Golub & Welsch 1969.
    """
    validate.integer("n_nodes", n_nodes, least=1)
    validate.integer("n_latents", n_latents, least=1)
    x, w = np.polynomial.hermite_e.hermegauss(n_nodes)
    grid = np.meshgrid(*[x] * n_latents, indexing="ij")
    weights = np.ones(1)
    for _ in range(n_latents):
        weights = np.multiply.outer(weights, w / w.sum()).ravel()
    return np.stack([g.ravel() for g in grid], axis=1), weights


def exact_gradient(q, target, objective=None, n_nodes=32, n_samples=1):
    """d E_q[l(z)] / d [mu, logvar] by quadrature, from values of f alone: what an estimator must give on average.

        dE/dmu = E[l eps] / std,   dE/dlogvar = E[l (eps^2 - 1)] / 2

    q: DiagonalGaussian, float64, of one to three latents; target: Target; objective: None, an ELBO, whose
    sampled KL, taken in closed form here, belongs to l (an analytic KL is not the estimator's business), or
    ImportanceWeighted, whose bound, and it alone, depends on n_samples.
    Returns (B, 2K). Raises TypeError or ValueError for input that does not fit.
    """
    _quadrature_fits(q, objective)
    if isinstance(objective, ImportanceWeighted):
        return _bound_gradient(q, target, objective, n_nodes, validate.integer("n_samples", n_samples, least=1))
    nodes, weights = gauss_hermite(n_nodes, q.mu.shape[1])
    eps = nodes[:, None, :]  # N, 1, K
    f = target(q.mu + q.std * eps)[..., None] * weights[:, None, None]  # N, B, 1
    dmu, dlogvar = (f * eps).sum(axis=0) / q.std, (f * (eps * eps - 1)).sum(axis=0) / 2  # B, K
    beta = (objective or PLAIN).sampled_kl
    return np.concatenate([dmu + beta * q.mu, dlogvar + beta * (q.std**2 - 1) / 2], axis=1)


def _bound_gradient(q, target, objective, n_nodes, n_samples):
    """d/dlambda of L = -E[log 1/S sum_s w_s], w = exp(-l), for any S by quadrature over one sample only.

    log y = int_0^inf (e^-t - e^(-t y)) dt / t, hence with phi(t) = E[e^(-t w)], independent samples, and u = log t

        dL/dlambda = int S phi^(S-1) dphi/dlambda du,   dphi/dlambda = E[e^(-t w) (1 + t w) dlog q/dlambda],

    since log w has -dlog q/dlambda as its explicit derivative. The scale of w does not matter: its maximum is set to 1.
    The integrand is analytic for |Im u| < pi / 2, so that the trapezoidal rule with steps of 1/3 is exact to rounding.
    """
    nodes, weights = gauss_hermite(n_nodes, q.mu.shape[1])
    nodes, weights = nodes[weights > 1e-30], weights[weights > 1e-30]  # far nodes would stretch the integral for nothing
    z = q.mu + q.std * nodes[:, None, :]  # N, B, K
    losses, score = Integrand(q, target, objective)(z), q.score(z)  # N, B; N, B, 2K
    gradient = np.zeros_like(q.params)
    spread = float((losses.max(axis=0) - losses.min(axis=0)).max())  # until t w is large at the node with the least w
    if not spread < 1e5:
        raise ValueError(f"the losses must differ by less than 1e5 nats over q, got {spread:.3g}: the bound's quadrature would take too long")
    for u in np.arange(-75, 3 * np.ceil(spread + 5)) / 3:
        tw = np.exp(np.minimum(u + losses.min(axis=0) - losses, 700))  # N, B
        decay = weights[:, None] * np.exp(-tw)  # N, B
        slope = np.einsum("nb,nbk->bk", decay * (1 + tw), score)
        gradient += n_samples / 3 * decay.sum(axis=0)[:, None] ** (n_samples - 1) * slope
    return gradient


def exact_loss(q, target, objective=None, n_nodes=32):
    """E_q[l(z)] and sqrt(E_q[l(z)^2]) by quadrature, (B,) each: an estimator's f on average. The arguments are `exact_gradient`'s.

    Under ImportanceWeighted, l = -log w, one sample's, whatever the number of samples.
    """
    _quadrature_fits(q, objective)
    nodes, weights = gauss_hermite(n_nodes, q.mu.shape[1])
    z = q.sample(np.ascontiguousarray(np.broadcast_to(nodes[:, None], (len(nodes), *q.mu.shape))))
    losses = Integrand(q, target, objective)(z)  # N, B
    return weights @ losses, np.sqrt(weights @ losses**2)


def exact_mean(estimator, q, target, objective=None, n_samples=1, n_nodes=20, rng=None):
    """An estimator's expectation and variance by quadrature: two arrays, (B, 2K) each.

    The nodes stand for the noise of a whole n_samples estimate: a product grid over n_samples * K dimensions, laid out
    as n_nodes^(n_samples K) replicates on the batch axis, so that samples that look at each other (leave-one-out)
    see independent ones. An unbiased estimator's mean equals `exact_gradient`, to rounding for polynomials.

    estimator: a name or a callable that draws nothing but eps; the rest as in `exact_gradient`.
    Raises ValueError where the grid would exceed 10 million numbers.
    """
    _quadrature_fits(q, objective, most=10)
    rows, n_latents = q.mu.shape
    n_grid = validate.integer("n_nodes", n_nodes, least=1) ** (validate.integer("n_samples", n_samples, least=1) * n_latents)
    if n_grid * rows * n_samples * n_latents > 10_000_000:
        raise ValueError(f"the grid has {n_nodes}^({n_samples} * {n_latents}) nodes: take fewer nodes, samples or latents")
    nodes, weights = gauss_hermite(n_nodes, n_samples * n_latents)
    eps = nodes.reshape(n_grid, n_samples, 1, n_latents).transpose(1, 0, 2, 3)  # S, N, 1, K
    eps = np.ascontiguousarray(np.broadcast_to(eps, (n_samples, n_grid, rows, n_latents))).reshape(n_samples, -1, n_latents)
    tiled = DiagonalGaussian.from_params(np.tile(q.params, (n_grid, 1)))
    draws = registry.resolve(estimator)(tiled, variance.folded(target, rows), eps, objective, rng)
    estimates = draws.dparams.mean(axis=0).reshape(n_grid, rows, -1)  # N, B, 2K
    mean = np.einsum("n,nbk->bk", weights, estimates)
    return mean, np.einsum("n,nbk->bk", weights, np.square(estimates - mean))


def _quadrature_fits(q, objective, most=3):
    if not isinstance(q, DiagonalGaussian) or q.dtype != np.float64:
        raise TypeError("q must be a DiagonalGaussian in float64: quadrature is exact to rounding")
    if q.mu.shape[1] > most:
        raise ValueError(f"quadrature is for at most {most} latents, got {q.mu.shape[1]}")
    if objective is not None and not isinstance(objective, (ELBO, ImportanceWeighted)):
        raise TypeError(f"objective must be None, an ELBO or ImportanceWeighted, got {objective!r}")
