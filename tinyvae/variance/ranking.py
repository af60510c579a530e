"""Reports side by side: paired ratios, a ranking with ties, a bias against the exact gradient."""

from typing import NamedTuple

import numpy as np

from tinyvae import validate
from tinyvae.variance.report import CONFIDENCE, COSTS, Interval, around, log_reach, quantile

__all__ = ["ratio", "Rank", "ranking", "Bias", "bias", "Summary", "summary", "plain"]

FEWEST = 30  # replicates by which two estimators may be told apart
SKEW = 20  # replicates to a degree of freedom of a coordinate's t, see `Bias`


def ratio(a, b, block, cost=None):
    """Total variance of report `a` over that of report `b`, an Interval; a tie if it holds 1.

    Both must come from one call of `measure`: their replicates share noise, so the standard error of the log ratio
    is that of the paired differences squares_a / V_a - squares_b / V_b (delta method). Two estimators' interval reaches
    sqrt(eps) at least, 1.5e-8 in float64 and 3.5e-4 in float32: half of the digits, what a variance keeps of numbers
    that differ by rounding only. Below 30 replicates the interval has no end: a heavy tail hides in so few. Of equal
    estimators with noise of their own, normal or with the tails of a score function, 3% to 5% were called apart at
    30 replicates, and would have been 11% to 61% at 5 (of 4,000).

    Parameters
    ----------
    a, b : Report
        Of one measurement.
    block : str
        Which block's total variance.
    cost : str or None
        "milliseconds" or "step_milliseconds" multiplies it by the median ratio of the paired times; the interval then
        also holds what the repeats leave open about that median (order statistics; endless below six repeats).

    Returns
    -------
    Interval
        NaN for 0 / 0; 0 or infinite where only one variance is 0.

    Raises
    ------
    ValueError
        If the numbers of replicates differ or a name is unknown.
    """
    for report in (a, b):
        validate.choice("block", block, report.total)
    if cost is not None:
        validate.choice("cost", cost, COSTS)
    first, second = a.total[block].squares, b.total[block].squares
    if len(first) != len(second):
        raise ValueError(f"a and b must come from one measurement, got {a.n_draws} and {b.n_draws} replicates")
    over, under = first.mean(), second.mean()
    if over == 0 or under == 0:
        value = np.nan if over == under else np.inf if under == 0 else 0.0
        return Interval(value, value, value)
    reach = log_reach(first / over - second / under)
    if first is not second:
        reach = max(reach, *(float(np.sqrt(np.finfo(report.dtype).eps)) for report in (a, b)))
        reach = reach if a.n_draws >= FEWEST else np.inf
    if cost is None:
        return around(over / under, reach)
    times = _median_ratio(a.timings[cost], b.timings[cost])
    value = times.value * over / under
    with np.errstate(divide="ignore"):
        down, up = (np.hypot(reach, np.log(end / times.value)) for end in (times.low, times.high))
    return Interval(float(value), float(value * np.exp(-down)), float(value * np.exp(up)))


class Rank(NamedTuple):
    """One line of a ranking.

    Attributes
    ----------
    name : str
        The estimator's.
    rank, last : int
        The first and the last of the places, from 1, that the comparisons leave open.
    ratio : Interval
        To the least.
    """

    name: str
    rank: int
    last: int
    ratio: Interval

    @property
    def label(self):
        """The place as a str, "2", or the places, "1-2"."""
        return str(self.rank) if self.rank == self.last else f"{self.rank}-{self.last}"


def ranking(reports, block, cost=None):
    """The estimators from the least total variance (times `cost`, see `ratio`) upwards.

    Each pair is compared by the interval of its paired ratio. Where that holds 1, the two cannot be told apart. An
    estimator's places run from 1 + the number of those that are surely better to the number of those that are not
    surely worse: "1-2" for two that tie for the first place. Each comparison holds with 95% confidence by itself; all
    of them together with less. Below 30 replicates all tie, unless a variance is 0.

    Parameters
    ----------
    reports : dict
        {name: Report}, what one call of `measure` returned.
    block : str
        Which block's total variance.
    cost : str or None
        "milliseconds" or "step_milliseconds".

    Returns
    -------
    list of Rank
        One for each estimator.

    Raises
    ------
    ValueError
        For an unknown name, or no reports.
    """
    _need(reports)

    def price(name):
        total = reports[name].total[validate.choice("block", block, reports[name].total)].variance.value
        return total * getattr(reports[name], validate.choice("cost", cost, COSTS)) if cost else total

    if cost and any(np.isnan(price(name)) for name in reports):
        raise ValueError(f"a ranking by {cost} needs times: measure with n_timings of at least 1")
    names = sorted(reports, key=price)
    better, worse = dict.fromkeys(names, 0), dict.fromkeys(names, 0)  # how many surely are
    for i, name in enumerate(names):
        for other in names[i + 1 :]:
            between = ratio(reports[other], reports[name], block, cost)  # 0 / 0, which is NaN, tells nothing
            first, second = (name, other) if between.low > 1 else (other, name) if between.high < 1 else (None, None)
            if first:
                better[second] += 1
                worse[first] += 1
    least = reports[names[0]]
    return [
        Rank(name, 1 + better[name], len(names) - worse[name], ratio(reports[name], least, block, cost))
        for name in names
    ]


class Bias(NamedTuple):
    """How far a mean is from the exact gradient.

    Attributes
    ----------
    norm : Interval
        ||bias|| / ||exact||.
    z : float
        The largest |bias| of a coordinate over its estimated standard error.
    coordinate : tuple of int
        Where.
    p : float
        The probability, at most, of so large a z, or a larger one, in any of the coordinates without a bias:
        Bonferroni, and Student's t, for skewed draws with n_draws / 20 degrees of freedom, 1 or more. With n_draws - 1,
        p was below 0.01 in 40% of right measurements of leave_one_out with two samples (30 draws; 20 or 100 data points
        of two latents), in 19% (100 draws), 11% (300) and 4% (1,000); so in none, none, 1% and 2%. In a few dozen draws
        p finds nothing.
    """

    norm: Interval
    z: float
    coordinate: tuple
    p: float


def bias(report, exact, block, error=0.0):
    """The bias of a report's mean in one block against the exact gradient.

    The interval of the norm is ||mean - exact|| +- t sqrt(V / n), V the total variance over n replicates, t Student's
    quantile (1.96 for many): for normal noise of known variance, its norm stays below 1.96 sqrt(V / n) with
    probability 0.95 or more, whatever its covariance (Szekely & Bakirov 2003). Its value has V / n, the noise's share,
    taken from the square.

    Rounding of the precision used, and the exact gradient's own `error`, count as standard error: for a coordinate
    each on the scale of the block, of which it may have been a small part (a float32 tanh is flat where the exact one
    still has a slope of 1e-8), or where two rules of quadrature may agree by chance.

    Parameters
    ----------
    report : Report
        Of one estimator.
    exact : array of the block's shape
        The exact gradient.
    block : str
        Which block.
    error : float or array of the block's shape
        How far `exact` may itself be from the truth, `problems.Reference.errors[block]`; 0 for a closed form.

    Returns
    -------
    Bias
        Its norm is absolute where the exact gradient is 0.

    Raises
    ------
    ValueError
        If the shapes differ or the block is unknown.
    """
    from scipy.special import stdtr

    mean = report.mean[validate.choice("block", block, report.mean)]
    exact, error = (validate.real(name, a, np.dtype("float64")) for name, a in (("exact", exact), ("error", error)))
    validate.check_shape("exact", exact, mean.shape)
    if error.ndim:
        validate.check_shape("error", error, mean.shape)
    validate.check_finite("exact", exact)
    if not (np.isfinite(error).all() and (error >= 0).all()):
        raise ValueError(f"error must be finite and at least 0, got {error.min():g}")
    n, variance = report.n_draws, report.variance[block].astype("float64")
    off, size = mean.astype("float64") - exact, float(np.linalg.norm(exact)) or 1.0  # nothing to refer to: absolute
    # An estimate made of numbers of its own size is rounded at each of some ten steps.
    rounding = 16 * float(np.finfo(report.dtype).eps) * (np.abs(exact) + np.sqrt(variance))
    inexact = np.full(mean.shape, np.abs(error))
    z = np.abs(off) / np.maximum(np.sqrt(variance / n) + rounding.max() + inexact.max(), np.finfo("float64").tiny)
    worst = np.unravel_index(np.argmax(z), z.shape)
    noise = quantile(n - 1) * np.sqrt(variance.sum() / n) + np.linalg.norm(rounding) + np.linalg.norm(inexact)
    norm = float(np.linalg.norm(off))
    value = np.sqrt(max(0.0, norm**2 - variance.sum() / n))
    interval = Interval(*(float(v) / size for v in (value, max(0.0, norm - noise), norm + noise)))
    p = min(1.0, 2 * z.size * stdtr(max(1.0, n / SKEW), -z[worst]))
    return Bias(interval, float(z[worst]), tuple(map(int, worst)), float(p))


class Summary(NamedTuple):
    """What is told of one estimator.

    Attributes
    ----------
    blocks : dict
        {block: {name: number, interval, rank or bias}}.
    costs : dict
        {name: number}, of one gradient.
    biased : bool
        Whether the estimator says of itself that it is: a rank then tells how quiet it is, not how good.
    """

    blocks: dict
    costs: dict
    biased: bool = False

    def plain(self):
        """Everything in one dict, for JSON; "biased" only where it is."""
        return {**self.blocks, **self.costs, **({"biased": True} if self.biased else {})}


def plain(reports, exact=None, errors=None):
    """`summary` as plain numbers, for JSON.

    Parameters
    ----------
    reports, exact, errors : dict
        As in `summary`.

    Returns
    -------
    dict
        {estimator: `Summary.plain()`}.
    """
    return {name: found.plain() for name, found in summary(reports, exact, errors).items()}


def summary(reports, exact=None, errors=None):
    """What `measure` returned, side by side.

    Parameters
    ----------
    reports : dict
        {estimator: Report}, what one call of `measure` returned.
    exact : dict or None
        {block: exact gradient}, where known.
    errors : dict or None
        {block: error of the exact gradient}, as in `bias`; none where it is left out.

    Returns
    -------
    dict
        {estimator: Summary}. Intervals are [value, low, high]; ranks are as `Rank.label`.
    """
    _need(reports)
    exact, errors, blocks = exact or {}, errors or {}, list(next(iter(reports.values())).total)
    ranks = {block: {line.name: line for line in ranking(reports, block)} for block in blocks}
    prices = {}
    if all(len(report.timings["milliseconds"]) for report in reports.values()):
        prices = {block: {line.name: line for line in ranking(reports, block, "milliseconds")} for block in blocks}
    record = {}
    for name, found in reports.items():
        row = {}
        for block in blocks:
            row[block] = {
                "variance": list(found.total[block].variance),
                "ratio_to_best": list(ranks[block][name].ratio),
                "rank": ranks[block][name].label,
                "snr": list(found.total[block].snr),
            }
            if prices:
                row[block]["variance_times_phi_cost"] = found.variance_times_cost(block).value
                row[block]["cost_ratio_to_best"] = list(prices[block][name].ratio)
                row[block]["cost_rank"] = prices[block][name].label
            if block in exact:
                off = bias(found, exact[block], block, errors.get(block, 0.0))
                row[block]["bias"] = {
                    "norm": list(off.norm),
                    "z": off.z,
                    "coordinate": list(off.coordinate),
                    "p": off.p,
                }
        record[name] = Summary(
            row,
            {
                "evaluations": found.evaluations,
                "gradients": found.gradients,
                "phi_milliseconds": found.milliseconds,
                "step_milliseconds": found.step_milliseconds,
            },
            found.biased,
        )
    return record


def _need(reports):
    if not reports:
        raise ValueError("reports must hold at least one report, got none: give what one call of `measure` returned")


def _median_ratio(first, second):
    """The median ratio of paired times, an Interval from its order statistics; NaN without times."""
    from scipy.stats import binom

    if not len(first):
        return Interval(np.nan, 0.0, np.inf)
    ratios = np.sort(first / second)
    outside = int(binom.ppf((1 - CONFIDENCE) / 2, len(ratios), 0.5))  # how many repeats lie outside on each side
    low, high = (ratios[outside - 1], ratios[-outside]) if outside else (0.0, np.inf)
    return Interval(np.median(ratios), low, high)
