"""From moments to a report: mean, variance, signal-to-noise ratio and cost, with their intervals."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinyvae import validate
from tinyvae.estimators import traits

__all__ = ["Interval", "Total", "Report", "report", "CONFIDENCE", "COSTS", "log_reach", "freedom", "around", "quantile"]

CONFIDENCE = 0.95
COSTS = ("milliseconds", "step_milliseconds")


class Interval(NamedTuple):
    """An estimate and its 95% confidence interval.

    Attributes
    ----------
    value : float
        The estimate.
    low, high : float
        The interval's ends.
    """

    value: float
    low: float
    high: float


class Total(NamedTuple):
    """What is summed over a whole block.

    Attributes
    ----------
    variance : Interval
        Summed over coordinates.
    snr : Interval
        The signal-to-noise ratio ||mean|| / sqrt(variance).
    squares : array (n_draws - 1,)
        One share of the variance a replicate; their mean is `variance.value`. `ratio` pairs them.
    """

    variance: Interval
    snr: Interval
    squares: np.ndarray


@dataclass(frozen=True)
class Report:
    """What `measure` found out about one estimator. Each dict goes from a block's name to its numbers.

    Attributes
    ----------
    mean : dict
        Arrays of the block's shape, a number a coordinate: the mean over replicates.
    variance : dict
        Arrays likewise: across replicates (ddof = 1).
    snr : dict
        Arrays likewise: |mean| / std, which is 0 where both are 0 and infinite where only std is.
    total : dict
        Total, sums over the block's coordinates.
    n_draws : int
        Replicates.
    n_samples : int
        Samples a data point in each.
    dtype : dtype
        The precision that they were computed in.
    evaluations : float
        Of f, a data point, in one gradient of phi.
    gradients : float
        Of df/dz, a data point, in one gradient of phi.
    timings : dict
        {"milliseconds": array (n_timings,), "step_milliseconds": array}, each repeat, in which the estimators took
        turns.
    biased : bool
        Whether the estimator says of itself that it is.
    """

    mean: dict
    variance: dict
    snr: dict
    total: dict
    n_draws: int
    n_samples: int
    dtype: np.dtype
    evaluations: float
    gradients: float
    timings: dict
    biased: bool = False

    @property
    def milliseconds(self):
        """Of one gradient of phi alone, the median; NaN where not timed."""
        return self._median("milliseconds")

    @property
    def step_milliseconds(self):
        """Of a whole training gradient, theta's part included, the median; NaN where not timed."""
        return self._median("step_milliseconds")

    def _median(self, cost):
        return float(np.median(self.timings[cost])) if len(self.timings[cost]) else np.nan

    def variance_times_cost(self, block, cost="milliseconds"):
        """Total variance of `block` times `cost`: the price of a fixed accuracy, lower is better.

        Averaging n independent gradients divides the variance by n and multiplies the time by n: the product stays.

        Parameters
        ----------
        block : str
            Which block's total variance.
        cost : str
            "milliseconds" or "step_milliseconds".

        Returns
        -------
        Interval
            The unit is (nats a unit of the parameter)^2 ms. The interval is the variance's; the median time is taken
            as exact.

        Raises
        ------
        ValueError
            For unknown names.
        """
        validate.choice("block", block, self.total)
        validate.choice("cost", cost, COSTS)
        return Interval(*(getattr(self, cost) * v for v in self.total[block].variance))


def report(name, blocks, plan, dtype, cost):
    """A Report of one estimator.

    Parameters
    ----------
    name : str
        The estimator's, in the plan.
    blocks : dict
        {name: Block}.
    plan : Plan
        Of the measurement.
    dtype : dtype
        The precision that was computed in.
    cost : Cost
        Of one gradient.

    Returns
    -------
    Report
        With the moments' intervals.
    """
    return Report(
        mean={name: block.mean for name, block in blocks.items()},
        variance={name: block.variance for name, block in blocks.items()},
        snr={name: _snr(block.mean, block.variance) for name, block in blocks.items()},
        total={name: _total(block) for name, block in blocks.items()},
        n_draws=plan.n_draws,
        n_samples=plan.n_samples,
        dtype=dtype,
        **cost._asdict(),
        biased=traits(plan.functions[name]).biased,
    )


def _snr(mean, variance):
    """|mean| / std; 0 where both are 0: no signal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean == 0, 0.0, np.abs(mean) / np.sqrt(variance))


def _total(block):
    squares, projections = block.squares[1:], block.projections[1:]  # the first contrast is none
    variance = squares.mean()
    if variance == 0:
        snr = np.inf if np.any(block.mean) else 0.0
        return Total(Interval(0.0, 0.0, 0.0), Interval(snr, snr, snr), squares)
    n = len(squares) + 1
    signal = max(0.0, float(np.sum(np.square(block.mean, dtype="float64"))) - variance / n)
    spread = around(variance, log_reach(squares / variance))
    return Total(spread, _snr_interval(signal, spread, squares, projections), squares)


# --- intervals --------------------------------------------------------------------------------------------


def log_reach(influences):
    """Half the width of a log value's interval.

    Parameters
    ----------
    influences : array (n,)
        Each replicate's share of a change in the log value.

    Returns
    -------
    float
        Infinite for n = 1.
    """
    n = len(influences)
    return quantile(freedom(influences)) * influences.std(ddof=1) / np.sqrt(n) if n > 1 else np.inf


def freedom(influences):
    """Degrees of freedom for Student's interval of a mean, by what the tails leave of them.

        1 / freedom = 1 / (n - 1) + 2 excess / n,    at least 1

    With a quarter of the second term it would be Satterthwaite's approximation for a standard error's chi-squared. But
    replicates show the less of an excess kurtosis the larger it is; the factor was chosen by simulation, so that
    intervals hold for the tails of a score function, and stay for light ones what they are.

    Parameters
    ----------
    influences : array (n,)
        What the mean is of.

    Returns
    -------
    float
        n - 1 where the excess is 0 or below.

    Notes
    -----
    Source: Satterthwaite 1946 for the approximation; the factor is measured, see `measure`.
    """
    n, squares = len(influences), np.square(influences - influences.mean())
    second = squares.mean()
    excess = max(0.0, np.square(squares / second).mean() - 3) if second > 0 else 0.0
    return max(1.0, 1 / (1 / max(1, n - 1) + 2 * excess / n))


def around(value, reach):
    """value exp(+-reach): symmetric on the log scale.

    Parameters
    ----------
    value : float
        The estimate.
    reach : float
        Half the width of its logarithm's interval.

    Returns
    -------
    Interval
        From value exp(-reach) to value exp(reach).
    """
    with np.errstate(over="ignore"):
        factor = np.exp(reach)
    return Interval(float(value), float(value / factor), float(value * factor))


def _snr_interval(signal, spread, squares, projections):
    """sqrt(signal / variance), signal = ||mean||^2 less the variance / n that noise adds to it, at least 0.

    A replicate's influence on signal / V is 2 u' mean / V - signal / V^2 (||u||^2 - V). As the mean, a mean of
    replicates *before* it stands in, of the second half of the replicates: its own noise then makes the
    interval long enough where there is no signal. In a heavy tail the two parts may nearly cancel, in the replicates
    so far: the ends are no nearer than either part alone leaves them, V's by its own interval, `spread`. Where no
    replicate of the second half met a mean (all but the last may have been 0), nothing is known of signal: no end.
    """
    variance, half, n = spread.value, len(squares) // 2, len(squares) + 1
    power = signal / variance
    of_signal = 2 * projections[half:] / variance
    both = of_signal - power * (squares[half:] / variance - 1)
    parts = (both, quantile(len(both))), (of_signal, quantile(freedom(of_signal)))
    reach = (
        max(t * np.sqrt(np.mean(np.square(influences)) / n) for influences, t in parts) if of_signal.any() else np.inf
    )
    low, high = power - reach, power + reach
    if power > 0:
        low, high = min(low, signal / spread.high), max(high, signal / spread.low if spread.low > 0 else np.inf)
    return Interval(*(float(np.sqrt(max(0.0, p))) for p in (power, low, high)))


def quantile(freedom):
    """Student's t: the factor of a standard error.

    Parameters
    ----------
    freedom : float
        Degrees of freedom.

    Returns
    -------
    float
        The quantile for a two-sided interval of `CONFIDENCE`.
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))
