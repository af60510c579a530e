"""Replicates of an estimator on a problem, and whether they may lie side by side.

Side by side on the batch axis, replicates are quick, and independent if the draws for a data point depend on its own
noise alone. Where they do not, they are made one by one, a call each. An estimator that says `costly`, for a network's
pass a sample, is asked in small calls that fit the cache, and gives its gradient and its f at once.

Each of them takes an estimator that has learnt, see `learnt`.
"""

import copy
import functools

import numpy as np

from tinyvae import estimators as registry
from tinyvae import variance
from tinyvae.machine import workers
from tinyvae.objectives import PLAIN, Integrand
from tinyvae.problems.problem import alone
from tinyvae.variance.replicates import analytic_kl_grad

__all__ = [
    "learnt", "side_by_side", "one_by_one", "loss_side_by_side", "loss_one_by_one", "in_chunks", "moments",
    "links_points", "changes_with_its_calls",
]  # fmt: skip

WARMUP = 200  # calls and updates, for an estimator that learns
AGE = 100  # calls after which one that does not learn must still give the same
ROWS = 8_000  # samples in a call of a costly estimator: its network's arrays stay in the cache


def learnt(estimator, p, n_samples):
    """A copy of the estimator without memory of other problems; one that learns has learnt on this one.

    Parameters
    ----------
    estimator : str or callable
    p : Problem
    n_samples : int
        S.

    Returns
    -------
    callable
        As estimators are.
    """
    plan = variance.Plan(
        [copy.deepcopy(registry.resolve(estimator))], p.objective or PLAIN, n_samples=n_samples, warmup=WARMUP
    )
    plan.fresh = list(plan.functions)
    plan.warm([(p.q, p.target)])
    (own,) = plan.functions.values()
    return own


def side_by_side(own, p, n_samples, n_draws, seed):
    """Mean and standard deviation over replicates of an estimate, in large calls.

    Parameters
    ----------
    own : callable
        What `learnt` gave; it is not changed.
    p : Problem
    n_samples, n_draws, seed : int
        S, the number of replicates, and what their noise comes from.

    Returns
    -------
    tuple of two arrays (B, P)
    """
    reports = variance.measure_target(p.q, p.target, [own], p.objective, n_draws, n_samples, int(seed), n_timings=0)
    (report,) = reports.values()
    mean, spread = (np.concatenate(list(part.values()), axis=1) for part in (report.mean, report.variance))
    added = analytic_kl_grad(p.q, p.objective or PLAIN)  # `measure_target` adds it; the estimator does not
    return mean - added, np.sqrt(spread)


def one_by_one(own, p, n_samples, n_draws, seed):
    """`side_by_side`, a replicate a call.

    Parameters
    ----------
    own, p, n_samples, n_draws, seed
        As `side_by_side`.

    Returns
    -------
    tuple of two arrays (B, P)
        As there.
    """
    return moments([draws.dparams.mean(axis=0) for draws, _ in _calls(own, p, n_samples, n_draws, seed)])


def loss_side_by_side(own, p, n_samples, n_draws, seed):
    """Mean and standard deviation of f, in one large call.

    Parameters
    ----------
    own, p, n_samples, n_draws, seed
        As `side_by_side`.

    Returns
    -------
    tuple of two arrays (B, 2)
        Of the samples' mean f, nats, and of how much further f spreads than the loss at the same noise, see `_spread`.
    """
    eps_rng, own_rng = np.random.default_rng(seed).spawn(2)
    call, q, loss = _caller(own, p, n_draws)
    eps = q.noise(eps_rng, n_samples)
    f, true = (np.asarray(a, "float64") for a in (call(eps.copy(), own_rng).f, loss(eps)))
    return _by_columns(_of_loss(*(a.reshape(n_samples, n_draws, -1) for a in (f, true)), p))


def loss_one_by_one(own, p, n_samples, n_draws, seed):
    """`loss_side_by_side`, a replicate a call.

    Parameters
    ----------
    own, p, n_samples, n_draws, seed
        As `side_by_side`.

    Returns
    -------
    tuple of two arrays (B, 2)
        As there.
    """
    calls = _calls(own, p, n_samples, n_draws, seed)
    return _by_columns(np.array([_of_loss(draws.f, true(), p) for draws, true in calls]))


def in_chunks(own, p, n_samples, n_draws, seed):
    """Replicates of an estimate and of f, side by side in small calls, on all workers.

    Parameters
    ----------
    own, p, n_samples, n_draws, seed
        As `side_by_side`.

    Returns
    -------
    tuple of two arrays
        Estimates (n_draws, B, P) and (n_draws, B, 2), f and its spread as in `loss_side_by_side`; (n_draws, B, 0)
        where the problem has no `loss`.
    """
    per_chunk = max(1, ROWS // (n_samples * len(p.gradient)))
    sizes = [min(per_chunk, n_draws - start) for start in range(0, n_draws, per_chunk)]

    def chunk(task):
        size, child = task
        eps_rng, own_rng = np.random.default_rng(child).spawn(2)
        call, q, loss = _caller(own, p._replace(target=copy.deepcopy(p.target)), size)
        eps = q.noise(eps_rng, n_samples)
        draws = call(eps.copy(), own_rng)
        f, true = (np.asarray(a, "float64").reshape(n_samples, size, -1) for a in (draws.f, loss(eps)))
        of_loss = _of_loss(f, true, p) if p.loss is not None else np.empty((*f.shape[1:], 0))
        return draws.dparams.mean(axis=0, dtype="float64").reshape(size, *p.gradient.shape), of_loss

    parts = list(workers.run(chunk, zip(sizes, np.random.SeedSequence(seed).spawn(len(sizes))), ahead=16))
    return tuple(np.concatenate(part) for part in zip(*parts))


def moments(estimates):
    """Mean and standard deviation of estimates.

    Parameters
    ----------
    estimates : array (R, B, n)
        Or a list of (B, n).

    Returns
    -------
    tuple of two arrays (B, n)
        float64.
    """
    estimates = np.asarray(estimates, "float64")  # R, B, n
    return estimates.mean(axis=0), estimates.std(axis=0, ddof=1)


def links_points(own, p, n_samples):
    """Whether the draws for a data point depend on others in the call, by a baseline or by randomness that they share.

    Without randomness of its own: whether each point alone gives something else. With it: whether two copies of a
    point with the same eps give the same, though the generator moved on between them.

    Parameters
    ----------
    own, p, n_samples
        As `side_by_side`.

    Returns
    -------
    tuple of two bool
        Whether it does, and whether the estimator draws more than eps.
    """
    rows = len(p.gradient)
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    call, q, _ = _caller(own, p, 2)
    eps = q.noise(np.random.default_rng(1), n_samples)  # S, 2B, K
    among = np.array(call(eps.copy(), rng).dparams)
    if rng.bit_generator.state != before:
        same = np.concatenate([eps[:, :rows]] * 2, axis=1)
        twice = call(same, rng).dparams
        return bool((twice[:, :rows] == twice[:, rows:]).all()), True
    try:
        single = [
            _caller(own, alone(p, i % rows), 1)[0](eps[:, i : i + 1].copy(), rng).dparams for i in range(2 * rows)
        ]
    except ValueError:  # it needs more than one
        return True, False
    single = np.concatenate(single, axis=1)
    return not np.allclose(single, among, rtol=1e-9, atol=1e-9 * np.abs(single).max()), False


def changes_with_its_calls(own, p, n_samples):
    """Whether an estimator without `update` gives, for the same eps and rng, something else after `AGE` other calls.

    All replicates are of copies that are as new as `own`: of one whose calls change it, they show the first call only.

    Parameters
    ----------
    own, p, n_samples
        As `side_by_side`.

    Returns
    -------
    bool
        Beyond rounding; False for one that learns, which changes in `update` and is tested as it has become.
    """
    if registry.learns(own):
        return False
    call, q, _ = _caller(own, p, 1)
    eps = q.noise(np.random.default_rng(0), n_samples)

    def draws():
        found = call(eps.copy(), np.random.default_rng(1))
        return [np.array(a, "float64") for a in (found.f, found.dparams)]

    new = draws()
    for seed in range(AGE):
        rng = np.random.default_rng([2, seed])
        call(q.noise(rng, n_samples), rng)
    return any(not np.allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(a).max()) for a, b in zip(new, draws()))


def _of_loss(f, true, p):
    """f and the loss at the same noise (S, ..., B) -> f's mean, and how much further f spreads, (..., B, 2)."""
    return np.stack([np.mean(f, axis=0), (_spread(f, p) - _spread(true, p)).mean(axis=0)], axis=-1)


def _spread(f, p):
    """u^2 / (1 + u^2), u = (f - E f) / std(f): a second moment that no tail can dominate. f (..., B)."""
    off = (np.asarray(f, "float64") - p.loss) ** 2
    variance = np.maximum(p.size**2 - p.loss**2, 1e-12 * p.size**2)
    return off / np.maximum(variance + off, np.finfo("float64").tiny)


def _by_columns(of_loss):
    """`moments` of each column of (R, B, n) by itself: the order of summation depends on what lies side by side."""
    parts = [moments(np.ascontiguousarray(of_loss[..., k : k + 1])) for k in range(of_loss.shape[-1])]
    return tuple(np.concatenate(part, axis=1) for part in zip(*parts))


def _calls(own, p, n_samples, n_draws, seed):
    """Yield the draws of a call, and a function that gives the loss at its noise."""
    call, q, loss = _caller(own, p, 1)
    rng = np.random.default_rng(seed)
    for _ in range(n_draws):
        eps = q.noise(rng, n_samples)
        yield call(eps.copy(), rng), functools.partial(loss, eps)


def _caller(own, p, copies):
    """For so many copies of the problem's data points side by side: a function (eps, rng) -> Draws, their q, and the
    loss l(q.sample(eps)) that f is to be, a function of eps."""
    own = copy.deepcopy(own)  # a call may change it
    q = p.q.like(np.tile(p.q.params, (copies, 1)))
    target, objective = variance.folded(p.target, len(p.gradient)), p.objective or PLAIN
    return lambda eps, rng: own(q, target, eps, objective, rng), q, lambda eps: _loss(q, target, objective, eps)


def _loss(q, target, objective, eps):
    return Integrand(q, target, objective)(q.sample(eps))
