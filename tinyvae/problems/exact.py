"""Exact expectations: by quadrature over a few latents, or by whatever nodes a distribution has of its own."""

import numpy as np

from tinyvae import estimators as registry
from tinyvae import validate
from tinyvae.objectives import PLAIN, ImportanceWeighted, Integrand, check_objective
from tinyvae.variance import folded

__all__ = ["NODES", "coarser", "exact_gradient", "gradient_error", "exact_loss", "exact_mean"]

NODES = {1: 64, 2: 32, 3: 20}  # in each of so many latents, unless the caller says otherwise


def coarser(n_nodes):
    """Numbers of nodes whose rules tell how exact that of n_nodes is.

    Parameters
    ----------
    n_nodes : int
        At least 1.

    Returns
    -------
    tuple of int
        One fewer, whose nodes lie between, and three quarters, as the first may agree by chance.
    """
    return max(1, n_nodes - 1), max(1, 3 * n_nodes // 4)


def exact_gradient(q, target, objective=None, n_nodes=32, n_samples=1):
    """d E_q[l(z)] / d params by quadrature or enumeration, from values of f alone: what an estimator gives on average.

        dE/dmu = E[l eps] / std,   dE/dlogvar = E[l (eps^2 - 1)] / 2   of a Gaussian; of bits and choices see there

    Parameters
    ----------
    q : DiagonalGaussian, Binary, Categorical or another distribution with `nodes`
        float64, one for each of B data points: a Gaussian of one to three latents, bits or choices of at most 4,096
        states.
    target : Target
        The function f.
    objective : ELBO, ImportanceWeighted or None
        None for the plain expectation; an ELBO, whose sampled KL, taken in closed form here, belongs to l (an analytic
        KL is not the estimator's business); or ImportanceWeighted, whose bound, and it alone, depends on n_samples.
    n_nodes : int
        Nodes in each latent.
    n_samples : int
        S.

    Returns
    -------
    array (B, P)
        The gradient, laid out like q.params.

    Raises
    ------
    TypeError or ValueError
        For input that does not fit; for the bound also where the losses differ by 1e5 nats or more over q.

    Notes
    -----
    An average and ImportanceWeighted take quadrature over one sample. A bound of one's own takes it over all S, with
    central differences: where its weights are narrow, 64 nodes are up to 3% off; `gradient_error` tells.
    """
    objective = _fits(q, objective)
    if not objective.averages:
        n_samples = validate.integer("n_samples", n_samples, least=1)
        own = _bound_gradient if isinstance(objective, ImportanceWeighted) else _gradient_of_any_bound
        return own(q, target, objective, n_nodes, n_samples)
    z, _ = q.nodes(n_nodes)  # N, B, K
    return q.exact_gradient(target(z), n_nodes, objective.sampled_kl)


def gradient_error(gradient, q, target, objective=None, n_nodes=32, n_samples=1):
    """How far a bound's `exact_gradient` by a grid may be off: twice the largest difference to the `coarser` rules'.

    The true error was 0.8 of it or less, in bounds as ImportanceWeighted, of wide weights and of narrow ones.

    Parameters
    ----------
    gradient : array (B, P)
        What `exact_gradient` gave for the same q, target, objective, n_nodes and n_samples.
    q, target, objective, n_nodes, n_samples
        As there.

    Returns
    -------
    array (B, 1)
        Of each data point's coordinates; 0, which is not measured, where quadrature is over one sample.
    """
    objective = _fits(q, objective)
    if objective.averages or isinstance(objective, ImportanceWeighted):
        return np.zeros((len(gradient), 1))
    others = [exact_gradient(q, target, objective, n, n_samples) for n in coarser(n_nodes)]
    return 2 * np.abs(np.array(others) - gradient).max(axis=(0, 2))[:, None]


def _bound_gradient(q, target, objective, n_nodes, n_samples):
    """d/dlambda of L = -E[log 1/S sum_s w_s], w = exp(-l), for any S by quadrature over one sample only.

    log y = int_0^inf (e^-t - e^(-t y)) dt / t, hence with phi(t) = E[e^(-t w)], independent samples, and u = log t

        dL/dlambda = int S phi^(S-1) dphi/dlambda du,   dphi/dlambda = E[e^(-t w) (1 + t w) dlog q/dlambda],

    since log w has -dlog q/dlambda as its explicit derivative. The scale of w does not matter: its maximum is set to 1.
    The integrand is analytic for |Im u| < pi / 2, so that the trapezoidal rule with steps of 1/3 is exact to rounding.
    """
    z, weights = q.nodes(n_nodes)  # N, B, K; N, B
    near = (weights > 1e-30).any(axis=1)  # far nodes would stretch the integral for nothing
    z, weights = np.ascontiguousarray(z[near]), weights[near]
    losses, score = Integrand(q, target, objective)(z), q.score(z)  # N, B; N, B, P
    gradient = np.zeros_like(q.params)
    spread = float((losses.max(axis=0) - losses.min(axis=0)).max())  # until t w is large at the node with the least w
    if not spread < 1e5:
        raise ValueError(
            f"the losses must differ by less than 1e5 nats over q, got {spread:.3g}: "
            "the bound's quadrature would take too long"
        )
    for u in np.arange(-75, 3 * np.ceil(spread + 5)) / 3:
        tw = np.exp(np.minimum(u + losses.min(axis=0) - losses, 700))  # N, B
        decay = weights * np.exp(-tw)  # N, B
        slope = np.einsum("nb,nbk->bk", decay * (1 + tw), score)
        gradient += n_samples / 3 * decay.sum(axis=0)[:, None] ** (n_samples - 1) * slope
    return gradient


def _gradient_of_any_bound(q, target, objective, n_nodes, n_samples):
    """d/dlambda of E[value of S samples' losses]: quadrature over all S at once, central differences in lambda."""
    rows = len(q.params)
    eps, weights = _grid(q, n_nodes, n_samples)  # S, N * B, K; N

    def mean(params):
        tiled = q.like(np.tile(params, (len(weights), 1)))
        losses = Integrand(tiled, folded(target, rows), objective)(tiled.sample(eps))  # S, N * B
        return weights @ objective.value(losses).reshape(len(weights), rows)  # B

    gradient = np.empty_like(q.params)
    for k in range(q.params.shape[1]):
        step = np.zeros_like(q.params)
        step[:, k] = 1e-4
        ends = [mean(q.params + h * step) for h in (1, -1, 2, -2)]
        gradient[:, k] = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / 12e-4
    return gradient


def exact_loss(q, target, objective=None, n_nodes=32):
    """E_q[l(z)] and sqrt(E_q[l(z)^2]): an estimator's f on average.

    Under ImportanceWeighted, l = -log w, one sample's, whatever the number of samples.

    Parameters
    ----------
    q, target, objective, n_nodes
        As in `exact_gradient`.

    Returns
    -------
    tuple of array (B,)
        E_q[l(z)] and sqrt(E_q[l(z)^2]), nats.

    Raises
    ------
    TypeError or ValueError
        For input that does not fit.
    """
    z, weights = q.nodes(n_nodes)
    losses = Integrand(q, target, _fits(q, objective))(z)  # N, B
    return (weights * losses).sum(axis=0), np.sqrt((weights * losses**2).sum(axis=0))


def exact_mean(estimator, q, target, objective=None, n_samples=1, n_nodes=20, rng=None):
    """An estimator's expectation and variance by quadrature over its noise.

    The nodes stand for the noise of a whole n_samples estimate: a product grid over n_samples * K dimensions, laid out
    as n_nodes^(n_samples K) replicates on the batch axis, so that samples that look at each other (leave-one-out)
    see independent ones. An unbiased estimator's mean equals `exact_gradient`, to rounding for polynomials. Of bits it
    is a grid over uniform noise between the places where they flip, see `Binary.noise_nodes`.

    Parameters
    ----------
    estimator : str or callable
        A name or a callable that draws nothing but eps.
    q, target, objective
        As in `exact_gradient`.
    n_samples : int
        S.
    n_nodes : int
        Nodes in each of the n_samples * K dimensions.
    rng : numpy Generator or None
        What the estimator is given.

    Returns
    -------
    tuple of array (B, P)
        The expectation and the variance, laid out like q.params.

    Raises
    ------
    ValueError
        Where the grid would exceed 10 million numbers, or for other input that does not fit.
    TypeError
        If q is not in float64, or for other input of the wrong type.
    """
    objective = _fits(q, objective)
    rows = len(q.params)
    n_samples = validate.integer("n_samples", n_samples, least=1)
    eps, weights = _grid(q, validate.integer("n_nodes", n_nodes, least=1), n_samples)  # S, N * B, K; N
    tiled = q.like(np.tile(q.params, (len(weights), 1)))
    drawn = registry.resolve(estimator)(tiled, folded(target, rows), eps, objective, rng)
    if not isinstance(drawn, registry.Draws):
        raise TypeError(f"{registry.name_of(estimator)} must return tv.Draws(f, dparams), got {type(drawn).__name__}")
    estimates = drawn.dparams.mean(axis=0).reshape(len(weights), rows, -1)  # N, B, P
    mean = np.einsum("n,nbk->bk", weights, estimates)
    return mean, np.einsum("n,nbk->bk", weights, np.square(estimates - mean))


def _fits(q, objective):
    """The objective, `PLAIN` for None, if q and it can be integrated exactly."""
    if missing := [name for name in ("nodes", "exact_gradient") if not hasattr(q, name)]:
        raise TypeError(f"q has no exact expectations: a {type(q).__name__} lacks {', '.join(missing)}")
    if q.dtype != np.float64:
        raise TypeError(f"q must be in float64, got {q.dtype}: exact expectations are exact to rounding")
    check_objective(PLAIN if objective is None else objective)
    return PLAIN if objective is None else objective


def _grid(q, n_nodes, n_samples):
    """The noise of S samples at all nodes, replicates side by side, (S, N * B, K), and weights (N,)."""
    rows, n_latents = q.mean.shape
    if n_nodes ** (n_samples * n_latents) * rows * n_samples * n_latents > 10_000_000:
        raise ValueError(
            f"the grid has {n_nodes}^({n_samples} * {n_latents}) nodes: take fewer nodes, samples or latents"
        )
    eps, weights = q.noise_nodes(n_nodes, n_samples)  # S, N, K; N
    return np.ascontiguousarray(np.repeat(eps, rows, axis=1)), weights
