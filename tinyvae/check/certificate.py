"""A certificate of unbiasedness: for what is random."""

import copy
import functools
import math

import numpy as np

from tinyvae import estimators as registry
from tinyvae import validate
from tinyvae.check import trials
from tinyvae.check.diagnosis import diagnose
from tinyvae.check.report import LOSS, SPREAD, Certificate, Tested
from tinyvae.estimators.contract import check_samples, checked_draws
from tinyvae.objectives import PLAIN
from tinyvae.problems import alone, bound_problems, default_problems

__all__ = ["Certificate", "Tested", "unbiased"]

PILOT, FEWEST, CALLS = 10_000, 40_000, 20_000  # replicates: of the pilot; of the test, at least; one by one, or of f
SMALLEST = 1_000  # replicates, where samples are counted
MARGIN = 1.4  # in the number of draws: the pilot may have missed the tail
ROUNDING = 1e-10  # of the draws' size: a mean without variance may miss the exact gradient by this much


def unbiased(
    estimator,
    problems=None,
    n_samples=(1, 2, 3, 8),
    level=0.01,
    power=0.99,
    bias=0.1,
    max_draws=1_000_000,
    seed=0,
    latents=None,
):
    """Test the hypothesis that an estimator's mean equals the exact gradient, in every coordinate of every problem.

    Its f, which training reports as the loss, is tested, too: its mean against the exact one, and its spread, a second
    moment, against that of the loss.

    In a test suite: `check.unbiased(mine).assert_passed()`.

    Parameters
    ----------
    estimator : str or callable
        A name, or (q, target, eps, objective, rng) -> Draws. What it says of itself (`estimators.traits`) is believed:
        an S or an objective that it is not for is refused without a call. What it refuses with a ValueError is left out
        and named. One that learns (it has `update`) learns first, by 200 calls and updates on each problem. One that
        does not must give the same for the same eps and rng, however often it was called: else it fails.
    problems : list of Problem, optional
        None takes `check.default_problems(latents)`, and for an estimator that refuses these, `check.bound_problems()`
        of the same latents.
    n_samples : iterable of int, optional
        The S to try.
    level : float, optional
        The probability, at most, that a correct estimator fails, over all coordinates together (Bonferroni).
    power, bias : float, optional
        A coordinate whose bias is `bias` times the norm of its data point's exact gradient is to be found with
        probability `power`. A pilot run tells from the standard deviations alone how many replicates this takes.
    max_draws : int, optional
        The test uses fresh replicates, from 40,000 to max_draws a problem. Where that is not enough, the report says
        so.
    seed : int, optional
        What all noise comes from.
    latents : {"gaussian", "binary", "categorical"}, optional
        What the certificate's own problems are of. None takes Gaussians, and for an estimator that refuses these, both
        of the others.

    Returns
    -------
    Certificate
        True where no test failed and no call changed the next. Where tests failed, its report names known mistakes that
        fit the numbers.

    Raises
    ------
    ValueError
        For input that does not fit, results of the wrong shape or not finite, or if everything is refused.
    TypeError
        For input or results of the wrong type.

    Notes
    -----
    The statistic is a mean over so many independent replicates that it is nearly normal: the score function's draws are
    skewed, and with a few hundred the level would not hold. Hence max_draws is 40,000 at least. Where a single
    coordinate has the heaviest of tails (kurtosis in the hundreds), values beyond 4 standard errors are still several
    times as frequent as normal ones; over the hundred coordinates of the default problems together that does not show.

    Replicates lie side by side on the batch axis. Where a trial shows that an estimator links the data points of a call
    (a baseline from the batch's mean, one random number for all), they would not be independent, and a bias would hide
    among so many: it is tested by 20,000 calls with the problem's few data points, and with one, instead, which takes
    minutes for all problems. One that
    draws more than eps is tested so on a problem for each S besides.

    An estimator that says `costly` (a network's pass a sample, and samples that do not look at each other) has its
    samples counted in place of its replicates, from 40,000 samples on: a mean over them is as nearly normal. Its pilot
    run is part of the test, whose length depends on the pilot's variance only, and its f comes from the same calls.
    The power is what it is with others, or the report says so.

    f's spread, the mean of u^2 / (1 + u^2) with u = (f - E f) / std(f), is a second moment that no heavy tail can
    dominate. It is compared with that of the loss at the same noise, so that an f that is the loss agrees to rounding,
    and one from other noise on average.
    """
    validate.number("level", level, least=0, most=1, open_least=True)
    validate.number("power", power, least=0.5, most=0.999999)
    validate.number("bias", bias, least=0, open_least=True)
    validate.integer("max_draws", max_draws, least=FEWEST)
    validate.integer("seed", seed, least=0)
    n_samples = tuple(validate.integer("each of n_samples", s, least=1) for s in n_samples)
    facts = registry.traits(registry.resolve(estimator))
    cases, refused, changed = _cases(estimator, problems, n_samples, latents)
    m = sum(p.gradient.size + (0 if p.loss is None else 2 * len(p.loss)) for p, *_ in cases)
    quantiles = _normal_quantile(1 - level / (2 * m)), _normal_quantile(power)
    tests = []
    for (p, s, own, way), child in zip(
        cases, np.random.SeedSequence(seed).generate_state(3 * len(cases)).reshape(-1, 3)
    ):
        scale = np.linalg.norm(p.gradient, axis=1)[:, None]  # B, 1
        scale[scale == 0] = 1.0  # nothing to refer to: absolute
        measured = _costly if way is trials.in_chunks else _measured
        (n_draws, *found), (n_of_loss, *of_loss) = measured(p, s, own, way, child, scale, quantiles, bias, max_draws)
        size = 0.0 if p.size is None else p.size[:, None]
        tests += _tests(p, s, n_draws, p.gradient, *found, *quantiles, scale, _names(p), size, p.error)
        if p.loss is not None:
            mean, std = (a[:, :1] for a in of_loss)
            tests += _tests(p, s, n_of_loss, p.loss[:, None], mean, std, *quantiles, p.size[:, None], [LOSS])
            none = np.zeros((len(p.loss), 1))  # how much further f may spread than the loss
            tests += _tests(p, s, n_of_loss, none, *(a[:, 1:] for a in of_loss), *quantiles, none + 1, [SPREAD])
    perhaps = diagnose(tests, {(p.name, s): p for p, s, *_ in cases})
    return Certificate(registry.name_of(estimator), level, power, bias, tests, refused, perhaps, facts.biased, changed)


# --- how many replicates ----------------------------------------------------------------------------------


def _measured(p, s, own, way, child, scale, quantiles, bias, max_draws):
    """(n_draws, mean, std) of the gradient and of f, from replicates of their own."""
    n_draws, of_loss = CALLS, ()
    if way is trials.side_by_side:
        _, std = way(own, p, s, PILOT, child[0])
        n_draws = _wanted(std, scale, quantiles, bias, FEWEST, max_draws)
    found = way(own, p, s, n_draws, child[1])
    if p.loss is not None:
        loss_of = trials.loss_side_by_side if way is trials.side_by_side else trials.loss_one_by_one
        of_loss = loss_of(own, p, s, CALLS, child[2])
    return (n_draws, *found), (CALLS, *of_loss)


def _costly(p, s, own, way, child, scale, quantiles, bias, max_draws):
    """`_measured`, for few draws: samples are counted, f comes from the same calls, and the pilot run is part of it."""
    n_pilot = max(PILOT // s, SMALLEST)
    parts = [way(own, p, s, n_pilot, child[0])]
    _, std = trials.moments(parts[0][0])
    n_draws = _wanted(std, scale, quantiles, bias, max(FEWEST // s, SMALLEST), max_draws)
    n_draws = max(n_draws, n_pilot)
    if n_draws > n_pilot:
        parts.append(way(own, p, s, n_draws - n_pilot, child[1]))
    estimates, of_loss = (np.concatenate(part) for part in zip(*parts))
    return tuple((n_draws, *trials.moments(part)) for part in (estimates, of_loss))


def _wanted(std, scale, quantiles, bias, least, most):
    wanted = float(np.max((sum(quantiles) * std / (bias * scale)) ** 2))
    return int(min(max(MARGIN * wanted, least), most))


# --- what is tested ---------------------------------------------------------------------------------------


def _cases(estimator, problems, n_samples, latents):
    """[(problem, S, what has learnt on it, how to draw replicates)], {problem: S that the estimator refused}, and the S
    at which what it returns changes with its calls."""
    if problems is None:
        cases, refused, refusal = _accepted_of_its_own(estimator, n_samples, latents)
    else:
        cases, refused, refusal = _accepted(estimator, list(problems), n_samples)
    if not cases and refused:
        raise ValueError(
            f"the estimator refused every S of {list(n_samples)} samples a data point: {refusal}"
        ) from refusal
    if not cases:
        raise ValueError(
            "problems and n_samples must not be empty, and a problem's own n_samples must be among those tried"
        )
    found, seen, changed = [], {"linked": set(), "drawing": set(), "called": set()}, []
    for p, s in cases:
        own = trials.learnt(estimator, p, s)
        if s not in seen["called"]:
            seen["called"].add(s)
            changed += [s] * trials.changes_with_its_calls(own, p, s)
        linked, draws = trials.links_points(own, p, s)
        unlinked = trials.in_chunks if registry.traits(own).costly else trials.side_by_side
        found.append((p, s, own, trials.one_by_one if linked else unlinked))
        if linked and s not in seen["linked"]:  # as many data points as the batch has, and one
            seen["linked"].add(s)
            cases_alone, refused_alone, _ = _accepted(estimator, [alone(p, 0)], [s])
            found += [(*case, trials.learnt(estimator, *case), trials.one_by_one) for case in cases_alone]
            for name, sizes in refused_alone.items():
                refused.setdefault(name, []).extend(sizes)
        if draws and not linked and s not in seen["drawing"]:
            seen["drawing"].add(s)
            found.append((p._replace(name=f"{p.name}, {len(p.gradient)} points a call"), s, own, trials.one_by_one))
    return found, refused, tuple(changed)


def _accepted_of_its_own(estimator, n_samples, latents):
    """`_accepted` of the certificate's own problems: the first of several lists that is not refused altogether."""
    found = []
    for kinds in [(latents,)] if latents else [("gaussian",), ("binary", "categorical")]:
        for make in (default_problems, functools.partial(bound_problems, n_samples)):
            found.append(_accepted(estimator, [p for kind in kinds for p in make(latents=kind)], n_samples))
            if found[-1][0]:
                return found[-1]
    return found[0]


def _accepted(estimator, problems, n_samples):
    """The (problem, S) that the estimator takes, {problem: S refused}, and the last refusal; a result that is no Draws
    of finite numbers is an error."""
    cases, refused, refusal = [], {}, None
    for p in problems:
        for s in n_samples:
            if p.n_samples not in (None, s):
                continue
            eps = p.q.noise(np.random.default_rng(0), s)
            function = copy.deepcopy(registry.resolve(estimator))
            try:
                _believe(function, p.objective or PLAIN, eps)
                own = p.q.like(p.q.params.copy())  # as `ask` has it; but what is wrong with the draws is no refusal
                draws = function(own, p.target, eps.copy(), p.objective, np.random.default_rng(0))
            except ValueError as error:
                refused.setdefault(p.name, []).append(s)
                refusal = error
                continue
            draws = checked_draws(draws, p.q, eps)
            validate.check_finite("the estimator's dparams", draws.dparams)
            validate.check_finite("the estimator's f", draws.f)
            cases.append((p, s))
    return cases, refused, refusal


def _believe(function, objective, eps):
    """Raise ValueError if the estimator says itself that it is not for this objective, or for so few samples."""
    facts, name = registry.traits(function), registry.name_of(function)
    for one, averages, what in (
        ("average", True, "an average over samples"), ("bound", False, "the importance-weighted bound"),
    ):  # fmt: skip
        if facts.objective == one and bool(objective.averages) is not averages:
            raise ValueError(f"{name} estimates the gradient of {what} only, as it says itself")
    check_samples(name, eps, facts.samples)


def _names(p):
    return [f"{name}[{k}]" for name, block in p.q.split(p.q.params[0]).items() for k in range(len(block))]


def _tests(p, n_samples, n_draws, exact, mean, std, z_level, z_power, scale, names, size=0.0, inexact=None):
    """A Tested for each element of the exact values (B, n), of the estimates' means and deviations; size: of f,
    for draws are made of numbers of its size; inexact: how far the exact values may be off (B, 1)."""
    error = std / math.sqrt(n_draws)
    threshold = z_level * error + ROUNDING * (scale + np.abs(mean) + std) + 1e-2 * ROUNDING * size
    inexact = np.zeros((len(mean), 1)) if inexact is None else inexact
    threshold = threshold + inexact
    columns = exact, mean - exact, error, threshold, threshold + z_power * error
    return [
        Tested(
            p.name,
            n_samples,
            b,
            names[k],
            *(float(a[b, k]) for a in columns),
            float(scale[b, 0]),
            n_draws,
            float(inexact[b, 0]),
        )
        for b in range(len(mean))
        for k in range(len(names))
    ]


def _normal_quantile(probability):
    from scipy.special import ndtri

    return float(ndtri(probability))
