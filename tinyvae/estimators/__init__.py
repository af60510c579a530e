"""Estimators of d E_{z ~ q(z; lambda)}[f(z)] / d lambda, side by side, found by name.

Each is a function `(q, target, eps, objective=None, rng=None) -> Draws`, decorated with what it needs
(`contract.estimator`). One that is added to a room of this folder, or as a new room, and shown in its `__all__`, is
known by its name.
"""

import inspect
import sys

from tinyvae import discover, validate
from tinyvae.estimators.antithetic import arm, disarm
from tinyvae.estimators.baselines import ConstantBaseline, InputDependent, MovingAverage
from tinyvae.estimators.contract import Draws, Target
from tinyvae.estimators.control_variates import Relax, delta_method
from tinyvae.estimators.importance_weighted import dreg, vimco
from tinyvae.estimators.measure_valued import MeasureValued
from tinyvae.estimators.path_derivative import path_derivative
from tinyvae.estimators.pathwise import reparameterization
from tinyvae.estimators.rebar import Rebar
from tinyvae.estimators.relaxed import GumbelSoftmax, StraightThroughGumbelSoftmax, muprop, straight_through
from tinyvae.estimators.score_function import leave_one_out, optimal_constant, score_function
from tinyvae.estimators.traits import Traits, estimator, learns, name_of, snake_case, traits

__all__ = [
    "Draws", "Target", "Traits", "estimator", "traits", "name_of", "learns", "names", "make", "resolve", "ESTIMATORS",
    "reparameterization", "score_function", "leave_one_out", "optimal_constant", "ConstantBaseline", "MovingAverage",
    "InputDependent", "delta_method", "Relax", "path_derivative", "MeasureValued", "dreg", "vimco",
    "straight_through", "GumbelSoftmax", "StraightThroughGumbelSoftmax", "muprop",
    "arm", "disarm", "Rebar",
]  # fmt: skip

READING_ORDER = (
    "pathwise", "score_function", "baselines", "control_variates", "path_derivative", "measure_valued",
    "importance_weighted", "relaxed", "antithetic", "rebar",
)  # fmt: skip
ESTIMATORS = discover.by_name(
    sys.modules[__name__],
    lambda one: isinstance(getattr(one, "traits", None), Traits),
    lambda one: snake_case(one.__name__),
    READING_ORDER,
)
globals().update({one.__name__: one for one in ESTIMATORS.values()})  # not the file of that name


def names(objective=None, q=None):
    """The estimators' names, in reading order.

    Parameters
    ----------
    objective : {"average", "bound"}, optional
        Only those that fit such an objective; None takes all.
    q : DiagonalGaussian or another distribution, optional
        Only those that find in it what they ask; None takes all.

    Returns
    -------
    list of str
    """
    if objective is not None:
        validate.choice("objective", objective, ("average", "bound"))
    fits = [name for name, one in ESTIMATORS.items() if objective is None or one.traits.objective in (objective, "any")]
    return [name for name in fits if q is None or not ESTIMATORS[name].traits.lacking(q)]


def make(name, **options):
    """The estimator called `name`, with fresh state of its own if it has any.

    Parameters
    ----------
    name : str
        One of `names()`.
    **options
        The estimator's own, if it is a class; a function takes none.

    Returns
    -------
    callable
        (q, target, eps, objective=None, rng=None) -> Draws.

    Raises
    ------
    ValueError
        For an unknown name, or an option's value that does not fit.
    TypeError
        For an option that it does not take, or one of the wrong type.
    """
    estimator = ESTIMATORS[validate.choice("estimator", name, names())]
    is_made = isinstance(estimator, type)  # it has state or options
    known = inspect.signature(estimator).parameters if is_made else {}
    if strange := [option for option in options if option not in known]:
        takes = f"the options {', '.join(known)}" if known else "no options"
        raise TypeError(f"{name} takes {takes}, got {', '.join(strange)}")
    return estimator(**options) if is_made else estimator


def resolve(estimator):
    """A callable: `estimator` itself, or the one that it names.

    Parameters
    ----------
    estimator : str or callable
        A name, see `names`, or a function of (q, target, eps, objective, rng).

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        If it is neither a name nor callable.
    """
    if isinstance(estimator, type):
        raise TypeError(
            f"estimator must be a name or a function, got the class {estimator.__name__}: give an instance of it"
        )
    if callable(estimator):
        return estimator
    if not isinstance(estimator, str):
        raise TypeError(
            f"estimator must be a name or a function of (q, target, eps, objective, rng), got {estimator!r}"
        )
    return make(estimator)
