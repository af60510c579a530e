"""What an estimator is given, what it returns, and what it says of itself.

Its draws for a data point should depend on that point's own q, eps and random numbers alone, not on who else is in the
call: then many replicates can lie side by side in one call, and a batch of one is a batch like any other.

One that stands in this folder tells in its docstring the formula, where it wins and loses, what it costs, what it
raises, and its source ("Wins:", "Loses:", "Costs", "Source:").
"""

import functools
import re
from typing import NamedTuple

import numpy as np

from tinyvae import noise, validate
from tinyvae.objectives import PLAIN, check_objective

__all__ = ["Draws", "Target", "Traits", "estimator", "name_of", "traits", "learns", "checked_draws", "check_samples"]


class Draws(NamedTuple):
    """An estimator's unaveraged result: the mean over axis 0 is the estimate.

    Attributes
    ----------
    f : array (S, B)
        Each sample's loss, nats: the integrand at `q.sample(eps)` itself, whatever else was asked; training reports it.
    dparams : array (S, B, P)
        Each sample's contribution to d E_q[f] / d params, P being 2K for a diagonal Gaussian, whose two halves are
        `dmu` and `dlogvar`.
    """

    f: np.ndarray
    dparams: np.ndarray

    @property
    def dmu(self):
        """d E_q[f] / d mu of a diagonal Gaussian, (S, B, K)."""
        return self.dparams[..., : self.dparams.shape[-1] // 2]

    @property
    def dlogvar(self):
        """d E_q[f] / d logvar of a diagonal Gaussian, (S, B, K)."""
        return self.dparams[..., self.dparams.shape[-1] // 2 :]


class Target:
    """The function f inside E_q[f(z)], asked rather than precomputed, so that its evaluations can be counted.

    Parameters
    ----------
    value : function
        z (S, B, K) -> f (S, B), nats.
    grad : function, optional
        z (S, B, K) -> df/dz (S, B, K), needed by pathwise estimators only.

    Attributes
    ----------
    evaluations : int
        How many samples a data point f has been asked for.
    gradients : int
        How many samples a data point df/dz has been asked for.

    Raises
    ------
    TypeError
        If `value` or `grad` is not a function.
    ValueError
        When it is asked: if a result has the wrong shape or is not finite, or if `grad` is asked for and was not given.
    """

    def __init__(self, value, grad=None):
        for name, function in (("value", value), ("grad", grad)):
            if not callable(function) and not (name == "grad" and function is None):
                raise TypeError(f"Target's {name} must be a function of z (S, B, K), got {type(function).__name__}")
        self._value, self._grad = value, grad
        self.evaluations = self.gradients = 0

    def __call__(self, z):
        """f(z), nats. z (S, B, K) -> (S, B)."""
        self.evaluations += len(z)
        return self._checked("value", self._value(z), z.shape[:2], z.dtype)

    def grad(self, z):
        """df/dz. z (S, B, K) -> (S, B, K)."""
        if self._grad is None:
            raise ValueError("this estimator needs df/dz: give the target one, tv.Target(value, grad)")
        self.gradients += len(z)
        return self._checked("grad", self._grad(z), z.shape, z.dtype)

    def _checked(self, name, result, shape, dtype):
        result = np.asarray(result, dtype)
        if result.shape != shape:
            raise ValueError(f"the target's {name} must return shape {shape}, got {result.shape}")
        self.check_finite(name, result)
        return result

    def check_finite(self, name, result):
        """Raise unless every element of what `name`, "value" or "grad", returned is finite."""
        validate.check_finite(f"the target's {name}", result)


# --- what an estimator says of itself ---------------------------------------------------------------------


class Traits(NamedTuple):
    """What an estimator needs and is. Those of a function that says nothing are the defaults.

    Attributes
    ----------
    samples : int
        How many a data point it needs at least.
    independent : bool
        Whether they must be.
    objective : {"average", "bound", "any"}
        What it estimates the gradient of.
    q : tuple of str
        Names of what it asks of the distribution, such as "score" or "path".
    f : tuple of str
        Names of what it asks of the target: "value", "grad".
    draws : bool
        Whether it draws more than eps, from rng.
    costly : bool
        Whether a call takes a network's pass a sample, and its samples do not look at each other: the certificate then
        counts samples.
    biased : bool
        Whether it is, by design.
    """

    samples: int = 1
    independent: bool = False
    objective: str = "any"
    q: tuple = ()
    f: tuple = ("value",)
    draws: bool = False
    biased: bool = False
    costly: bool = False

    def words(self):
        """What it needs, in a few words for a list; an empty string if it is nothing in particular."""
        needs = [f"{self.samples} samples or more"] * (self.samples > 1) + ["df/dz"] * ("grad" in self.f)
        needs += ["independent samples"] * self.independent
        needs += ["the importance-weighted bound"] * (self.objective == "bound") + ["rng"] * self.draws
        return ", ".join(needs + ["biased"] * self.biased)


def estimator(**facts):
    """Decorator: what the function, or the class of callables, below needs (see `Traits`), checked at every call.

    The function is `(q, target, eps, objective=None, rng=None) -> Draws`. It is given an objective in place of None:
    the plain expectation, `objectives.PLAIN`.

    Parameters
    ----------
    **facts
        The fields of `Traits` that differ from their defaults.

    Returns
    -------
    function
        The decorator. What it returns, the checked function or the class itself, has the `Traits` as `traits`.

    Raises
    ------
    TypeError
        For a fact that `Traits` does not have. At a call: if `objective` is no objective, or rng is needed and is no
        Generator.
    ValueError
        At a call: if the samples are too few, or depend on each other and must not; if the objective averages and must
        not, or the other way round; if q lacks what is asked of it.
    """
    traits = Traits(**facts)
    validate.choice("objective", traits.objective, ("average", "bound", "any"))

    def describe(thing):
        if isinstance(thing, type):
            thing.traits, thing.__call__ = traits, _guarded_method(thing.__call__, traits)
            return thing
        guarded = _guarded(thing, traits)
        guarded.traits = traits
        return guarded

    return describe


def traits(estimator):
    """What an estimator says that it needs and is.

    Parameters
    ----------
    estimator : callable
        One such as `make` gives, or a `functools.partial` of one.

    Returns
    -------
    Traits
        Those of the function inside a `functools.partial`; the defaults if it says nothing.
    """
    while isinstance(estimator, functools.partial):
        estimator = estimator.func
    return getattr(estimator, "traits", Traits())


def name_of(estimator):
    """How an estimator is called in reports and figures.

    Parameters
    ----------
    estimator : str or callable
        A name, a function or an object; or a `functools.partial`, which is called what is inside.

    Returns
    -------
    str
        The name itself, the `__name__` of what has one, or the class's name.
    """
    while isinstance(estimator, functools.partial):
        estimator = estimator.func
    if isinstance(estimator, str):
        return estimator
    return getattr(estimator, "__name__", type(estimator).__name__)


def snake_case(name):
    """measure_valued for MeasureValued."""
    return re.sub("(?<!^)(?=[A-Z])", "_", name).lower()


def learns(estimator):
    """Whether the estimator learns: `update` is called after each step, `state` and `restore` save what it learnt.

    Parameters
    ----------
    estimator : callable

    Returns
    -------
    bool
    """
    return hasattr(estimator, "update")


def _guarded(function, traits):
    @functools.wraps(function)
    def call(q, target, eps, objective=None, rng=None, **options):
        objective = _check_call(function.__name__, traits, q, eps, objective, rng)
        return function(q, target, eps, objective, rng, **options)

    return call


def _guarded_method(method, traits):
    @functools.wraps(method)
    def call(self, q, target, eps, objective=None, rng=None):
        objective = _check_call(snake_case(type(self).__name__), traits, q, eps, objective, rng)
        return method(self, q, target, eps, objective, rng)

    return call


def _check_call(name, traits, q, eps, objective, rng):
    """The objective, `PLAIN` for None, if the call fits the traits."""
    if traits.independent:
        noise.require_independent(name)
    objective = PLAIN if objective is None else objective
    check_objective(objective)
    if traits.objective == "average" and not objective.averages:
        use = "use 'reparameterization', 'dreg' or 'vimco', or an ELBO"
        if "grad" in traits.f and "score" not in traits.q:
            raise ValueError(f"{name} is biased on the importance-weighted bound (Tucker et al. 2019); use 'dreg'")
        raise ValueError(
            f"{name} estimates the gradient of an average over samples, not of the importance-weighted bound; {use}"
        )
    if traits.objective == "bound" and objective.averages:
        raise ValueError(
            f"{name} estimates the gradient of the importance-weighted bound: pass objective=tv.ImportanceWeighted() "
            "(--objective importance_weighted)"
        )
    if traits.samples > 1:
        check_samples(name, eps, traits.samples)
    if traits.draws:
        validate.generator(f"rng ({name} draws more than eps)", rng)
    for part in traits.q:
        if not hasattr(q, part):
            raise ValueError(f"{name} needs q.{part}, which a {type(q).__name__} does not have; take another estimator")
    return objective


# --- checks -----------------------------------------------------------------------------------------------


def checked_draws(draws, q, eps, name="the estimator"):
    """What an estimator returned, if it is Draws of the right shapes, in q's dtype.

    Parameters
    ----------
    draws : Draws
        What it returned.
    q : DiagonalGaussian or another distribution
        What it was given.
    eps : array (S, B, ...)
        What it was given.
    name : str, optional
        What the message calls it.

    Returns
    -------
    Draws
        f (S, B), nats, and dparams (S, B, P), converted to q's dtype.

    Raises
    ------
    TypeError
        If it is no Draws.
    ValueError
        If a shape does not fit.
    """
    if not isinstance(draws, Draws):
        raise TypeError(f"{name} must return tv.Draws(f, dparams), got {type(draws).__name__}")
    f, dparams = (np.asarray(part, q.dtype) for part in draws)
    validate.check_shape(f"{name}'s f", f, eps.shape[:2])
    validate.check_shape(f"{name}'s dparams", dparams, (*eps.shape[:2], q.params.shape[1]))
    return Draws(f, dparams)


def check_samples(name, eps, least):
    """Raise unless eps brings enough samples a data point.

    Parameters
    ----------
    name : str
        The estimator's, for the message.
    eps : array (S, B, K)
        Standard normal noise.
    least : int
        How many samples it needs.

    Raises
    ------
    ValueError
        If S < least, or if eps has not three axes.
    """
    validate.check_shape("eps", eps, ("S", "B", "K"))
    if len(eps) < least:
        raise ValueError(
            f"{name} needs n_samples of at least {least}, got {len(eps)}: give n_samples={least} or more "
            "(--n-samples on the command line)"
        )
