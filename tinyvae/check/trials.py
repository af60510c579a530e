"""Replicates of an estimator on a problem: their mean and standard deviation, and whether they may lie side by side.

Side by side on the batch axis, replicates are quick, and independent if the draws for a data point depend on its own noise
alone. Where they do not, they are made one by one, a call each.
"""

import copy

import numpy as np

from tinyvae import estimators as registry
from tinyvae import variance
from tinyvae.objectives import PLAIN
from tinyvae.problems.problem import alone
from tinyvae.variance.replicates import analytic_kl_grad

WARMUP = 200  # calls and updates, for an estimator that learns


def side_by_side(estimator, p, n_samples, n_draws, seed):
    """Mean and standard deviation over so many replicates of an estimate, (B, P) each."""
    own = _own(estimator, p, n_samples)
    reports = variance.measure_target(p.q, p.target, [own], p.objective, n_draws, n_samples, int(seed), n_timings=0)
    (report,) = reports.values()
    mean, spread = (np.concatenate(list(part.values()), axis=1) for part in (report.mean, report.variance))
    added = analytic_kl_grad(p.q, p.objective or PLAIN)  # `measure_target` adds it; the estimator does not
    return mean - added, np.sqrt(spread)


def one_by_one(estimator, p, n_samples, n_draws, seed):
    """The same, a replicate a call."""
    return _moments([draws.dparams.mean(axis=0) for draws in _calls(estimator, p, n_samples, n_draws, seed)])


def loss_side_by_side(estimator, p, n_samples, n_draws, seed):
    """Mean and standard deviation of f's mean over the samples, (B, 1) each."""
    eps_rng, own_rng = np.random.default_rng(seed).spawn(2)
    call, q = _caller(_own(estimator, p, n_samples), p, n_draws)
    f = np.asarray(call(q.noise(eps_rng, n_samples), own_rng).f, "float64")
    return _moments(f.mean(axis=0).reshape(n_draws, -1, 1))


def loss_one_by_one(estimator, p, n_samples, n_draws, seed):
    """The same, a replicate a call."""
    return _moments([np.mean(draws.f, axis=0)[:, None] for draws in _calls(estimator, p, n_samples, n_draws, seed)])


def links_points(estimator, p, n_samples):
    """Whether the draws for a data point depend on others in the call, by a baseline or by randomness that they share;
    and whether the estimator draws more than eps.

    Without randomness of its own: whether each point alone gives something else. With it: whether two copies of a
    point with the same eps give the same, though the generator moved on between them.
    """
    rows, own = len(p.gradient), _own(estimator, p, n_samples)
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    call, q = _caller(own, p, 2)
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


def _calls(estimator, p, n_samples, n_draws, seed):
    call, q = _caller(_own(estimator, p, n_samples), p, 1)
    rng = np.random.default_rng(seed)
    for _ in range(n_draws):
        yield call(q.noise(rng, n_samples), rng)


def _moments(estimates):
    estimates = np.asarray(estimates, "float64")  # R, B, n
    return estimates.mean(axis=0), estimates.std(axis=0, ddof=1)


def _own(estimator, p, n_samples):
    """A copy of the estimator without memory of other problems; one that learns has learnt on this one."""
    plan = variance.Plan(
        [copy.deepcopy(registry.resolve(estimator))], p.objective or PLAIN, n_samples=n_samples, warmup=WARMUP
    )
    plan.fresh = list(plan.functions)
    plan.warm([(p.q, p.target)])
    (own,) = plan.functions.values()
    return own


def _caller(own, p, copies):
    """A function (eps, rng) -> Draws for so many copies of the problem's data points side by side, and their q."""
    own = copy.deepcopy(own)  # a call may change it
    q = p.q.like(np.tile(p.q.params, (copies, 1)))
    target = variance.folded(p.target, len(p.gradient))
    return lambda eps, rng: own(q, target, eps, p.objective or PLAIN, rng), q
