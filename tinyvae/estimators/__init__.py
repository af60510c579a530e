"""Estimators of d E_{z ~ q(z; lambda)}[f(z)] / d lambda, side by side, found by name.

Each is a function `(q, target, eps, objective=None, rng=None) -> Draws`.
"""

from tinyvae import validate
from tinyvae.estimators.baselines import ConstantBaseline, InputDependent, MovingAverage
from tinyvae.estimators.contract import Draws, Target
from tinyvae.estimators.control_variates import Relax, delta_method
from tinyvae.estimators.importance_weighted import dreg, vimco
from tinyvae.estimators.measure_valued import MeasureValued
from tinyvae.estimators.pathwise import path_derivative, reparameterization
from tinyvae.estimators.score_function import leave_one_out, optimal_constant, score_function

ESTIMATORS = {
    "reparameterization": reparameterization,
    "score_function": score_function,
    "leave_one_out": leave_one_out,
    "constant_baseline": ConstantBaseline,
    "moving_average": MovingAverage,
    "input_dependent": InputDependent,
    "optimal_constant": optimal_constant,
    "delta_method": delta_method,
    "relax": Relax,
    "path_derivative": path_derivative,
    "measure_valued": MeasureValued,
    "dreg": dreg,
    "vimco": vimco,
}

# Their baselines or weights are made from the other samples, so that antithetic or quasi-random samples bias them.
NEED_INDEPENDENT_SAMPLES = (leave_one_out, optimal_constant, dreg, vimco)


def names():
    """The estimators' names, in reading order."""
    return list(ESTIMATORS)


def make(name, **options):
    """The estimator called `name`: a callable of the signature above, with fresh state of its own if it has any.

    Raises ValueError for an unknown name, TypeError for an option that it does not take.
    """
    estimator = ESTIMATORS[validate.choice("estimator", name, names())]
    if isinstance(estimator, type):  # it has state or options
        return estimator(**options)
    if options:
        raise TypeError(f"{name} takes no options, got {', '.join(options)}")
    return estimator


def resolve(estimator):
    """A callable: `estimator` itself, or the one that it names."""
    if callable(estimator):
        return estimator
    if not isinstance(estimator, str):
        raise TypeError(f"estimator must be a name or a function of (q, target, eps, objective, rng), got {estimator!r}")
    return make(estimator)
