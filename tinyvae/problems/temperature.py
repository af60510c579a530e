"""What a relaxed sample's temperature trades: the bias, against enumeration, for the standard deviation."""

import inspect
import math
from typing import NamedTuple

import numpy as np

from tinyvae import estimators as registry
from tinyvae import validate
from tinyvae.problems.exact import exact_gradient
from tinyvae.variance import Interval, bias, measure_target
from tinyvae.variance.replicates import analytic_kl_grad

__all__ = ["AlongTemperature", "along_temperature", "crossing"]


class AlongTemperature(NamedTuple):
    """An estimator's errors at each of T temperatures, in the gradient's units (nats): value, lower and upper limit.

    Attributes
    ----------
    temperatures : array (T,)
        Rising.
    bias : array (T, 3)
        ||mean - exact|| over all data points and parameters, with the interval of `variance.bias`.
    std : array (T, 3)
        The root of the total variance of an estimate from one sample a data point, with its 95% interval. Of S samples
        it is 1 / sqrt(S) times that, as they do not look at each other.
    """

    temperatures: np.ndarray
    bias: np.ndarray
    std: np.ndarray


def along_temperature(
    q,
    target,
    temperatures,
    estimators=("gumbel_softmax", "straight_through_gumbel_softmax", "straight_through"),
    objective=None,
    n_draws=10_000,
    seed=0,
):
    """Bias and standard deviation of relaxed estimators against the temperature, the exact gradient by enumeration.

    All temperatures and estimators see the same noise, so that the curves are smooth, and off together.

    Parameters
    ----------
    q : Binary or Categorical
        float64, one for each of B data points, of at most 4,096 states.
    target : Target
        f and df/dz.
    temperatures : sequence of float
        Above 0, rising.
    estimators : sequence of str
        Names. One that takes no temperature is measured once: its curves are flat.
    objective : ELBO or None
        None for the plain expectation.
    n_draws : int
        Independent estimates from one sample. The bias is known to about std / sqrt(n_draws): for where it crosses the
        standard deviation of S samples, a hundred times S or more.
    seed : int
        Of all noise.

    Returns
    -------
    dict
        {name: AlongTemperature}.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, an unknown name, or more states than are enumerated.
    """
    temperatures = [validate.number("each of temperatures", t, least=0, open_least=True) for t in temperatures]
    if not temperatures or sorted(set(temperatures)) != temperatures:
        raise ValueError(f"temperatures must be one or more numbers, each above the one before, got {temperatures}")
    if isinstance(estimators, str):
        raise TypeError(f"estimators must be a sequence of names, got {estimators!r}; put a name in a tuple")
    if not hasattr(q, "relaxed"):
        raise TypeError(f"q must be a tv.Binary or a tv.Categorical, which can be relaxed, got {type(q).__name__}")
    exact = exact_gradient(q, target, objective)
    exact = exact + (0 if objective is None else analytic_kl_grad(q, objective))
    size = float(np.linalg.norm(exact)) or 1.0  # what `bias` refers to
    (block,) = q.blocks

    def errors(estimator):
        (report,) = measure_target(q, target, [estimator], objective, n_draws, seed=seed, n_timings=0).values()
        off = np.multiply(bias(report, exact, block).norm, size)
        return off, np.sqrt(report.total[block].variance)

    found = {}
    for name in estimators:
        made = registry.make(name)
        if "temperature" in inspect.signature(registry.ESTIMATORS[name]).parameters:
            rows = [errors(registry.make(name, temperature=t)) for t in temperatures]
        else:
            rows = [errors(made)] * len(temperatures)
        found[name] = AlongTemperature(np.array(temperatures), *map(np.array, zip(*rows)))
    return found


def crossing(found, n_samples=1):
    """The lowest temperature at which the bias exceeds the standard deviation of an estimate from S samples.

    Below it more samples still help; above it they do not, and the temperature should fall. On lines between the
    measured points, both axes logarithmic.

    Parameters
    ----------
    found : AlongTemperature
        Of one estimator.
    n_samples : int
        S, samples a data point.

    Returns
    -------
    Interval
        Its ends are where the bias's upper limit meets the standard deviation's lower one, and the other way round. 0
        where the bias is larger from the lowest temperature on, infinite where it is smaller up to the highest.

    Raises
    ------
    ValueError or TypeError
        If found is no AlongTemperature, or n_samples no integer of at least 1.
    """
    if not isinstance(found, AlongTemperature):
        what = f"found must be one of what along_temperature gave, an AlongTemperature, got {type(found).__name__}"
        raise TypeError(what + ": take an estimator's, by its name" * isinstance(found, dict))
    share = 1 / math.sqrt(validate.integer("n_samples", n_samples, least=1))
    columns = (0, 0), (2, 1), (1, 2)  # bias and std: the values, the earliest crossing, the latest
    return Interval(*(_meet(found.temperatures, found.bias[:, b], share * found.std[:, s]) for b, s in columns))


def _meet(x, rising, falling):
    """Where the first curve comes to lie above the second: x of log-log lines; 0 if at once, infinite if never."""
    above = np.flatnonzero(rising > falling)
    if not len(above) or above[0] == 0:
        return 0.0 if len(above) else math.inf
    with np.errstate(divide="ignore"):
        apart = np.log(rising / falling)[above[0] - 1 : above[0] + 1]  # at most 0, and above it
    before, after = np.log(x[above[0] - 1 : above[0] + 1])
    return float(np.exp(after - (after - before) * apart[1] / (apart[1] - apart[0])))
