"""What an estimator says of itself, beside its own mathematics: what it needs, checked at every call."""

import functools
import re
from typing import NamedTuple

from tinyvae import noise, validate
from tinyvae.estimators.contract import check_samples
from tinyvae.objectives import PLAIN, check_objective

__all__ = ["Traits", "estimator", "traits", "name_of", "snake_case", "learns", "decoder_sample", "trains_elsewhere"]


DISCRETE = "discrete latents"
LATENTS = {"augmented_score": "bits", "coupled": DISCRETE, "odds": DISCRETE, "relaxed_path": DISCRETE}  # alone have it


class Traits(NamedTuple):
    """What an estimator needs and is. Those of a function that says nothing are the defaults.

    Attributes
    ----------
    samples : int
        How many samples a data point it needs at least.
    independent : bool
        Whether the samples of a data point must be independent: a baseline or a weight made from the others is biased
        where they are not.
    objective : {"average", "bound", "any"}
        Which objectives' gradient it estimates: those whose loss is the mean of the samples' losses, those in which the
        samples are weighed against each other, such as the importance-weighted bound, or both.
    q : tuple of str
        Names of what it asks of the distribution, such as "score" or "path"; "path or odds" where either will do.
    f : tuple of str
        Names of what it asks of the target: "value", "grad".
    draws : bool
        Whether it draws more random numbers than eps, from rng.
    biased : bool
        Whether its mean is not the gradient, by design.
    costly : bool
        Whether a call takes a network's pass a sample, and its samples do not look at each other: the certificate then
        counts samples in place of whole estimates.
    """

    samples: int = 1
    independent: bool = False
    objective: str = "any"
    q: tuple = ()
    f: tuple = ("value",)
    draws: bool = False
    biased: bool = False
    costly: bool = False

    def lacking(self, q):
        """What it asks of the distribution q that is not there: a list, empty if q will do."""
        return [part for part in self.q if not any(hasattr(q, one) for one in part.split(" or "))]

    def words(self):
        """What it needs, in a few words for a list; an empty string if it is nothing in particular."""
        needs = [f"{self.samples} samples or more"] * (self.samples > 1) + ["df/dz"] * ("grad" in self.f)
        needs += dict.fromkeys(latents for part, latents in LATENTS.items() if part in self.q)
        needs += ["independent samples"] * self.independent
        needs += ["the importance-weighted bound"] * (self.objective == "bound") + ["rng"] * self.draws
        return ", ".join(needs + ["biased"] * self.biased)


def estimator(*things, **facts):
    """Decorator: what the function, or the class of callables, below needs (see `Traits`), checked at every call.

    The function is `(q, target, eps, objective=None, rng=None) -> Draws`. It is given an objective in place of None:
    the plain expectation, `objectives.PLAIN`.

    Parameters
    ----------
    *things
        None: it is always called, `@estimator()`.
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
    if things:
        raise TypeError("write @estimator() with brackets, and what the estimator needs in them, by name")
    if unknown := sorted(set(facts) - set(Traits._fields)):
        raise TypeError(
            f"{', '.join(unknown)} is nothing that an estimator says of itself: {', '.join(Traits._fields)}"
        )
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
    return getattr(_inside(estimator), "traits", Traits())


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
    estimator = _inside(estimator)
    if isinstance(estimator, str):
        return estimator
    return getattr(estimator, "__name__", type(estimator).__name__)


def snake_case(name):
    """A class's name as an estimator's: measure_valued for MeasureValued.

    Parameters
    ----------
    name : str
        In capitals and small letters, or in small letters already.

    Returns
    -------
    str
        In small letters, with underscores.
    """
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


def decoder_sample(estimator, q, eps, z):
    """Where a model's decoder is trained: at z, unless the estimator carries a function that says otherwise.

    Parameters
    ----------
    estimator : callable
        One that trains the decoder elsewhere, at a relaxed sample, has `decoder_sample(q, eps)`, which returns it.
    q : DiagonalGaussian or another distribution
    eps : array (S, B, ...)
        Noise.
    z : array (S, B, K)
        q.sample(eps).

    Returns
    -------
    array (S, B, K)
        z itself where the estimator says nothing.

    Raises
    ------
    ValueError or TypeError
        If q lacks what the estimator needs, or what it returns is of another shape or dtype, or not finite.
    """
    if not trains_elsewhere(estimator):
        return z
    name = snake_case(name_of(estimator))
    _check_parts(name, traits(estimator), q)
    own = _inside(estimator).decoder_sample(q.like(q.params.copy()), eps.copy())
    return validate.array(f"the decoder_sample of {name}", own, z.shape, z.dtype)


def trains_elsewhere(estimator):
    """Whether the estimator has a `decoder_sample` of its own.

    Parameters
    ----------
    estimator : callable

    Returns
    -------
    bool
    """
    return hasattr(_inside(estimator), "decoder_sample")


def _inside(estimator):
    """What is inside a `functools.partial`."""
    while isinstance(estimator, functools.partial):
        estimator = estimator.func
    return estimator


def _guarded(function, traits):
    @functools.wraps(function)
    def call(q, target, eps, objective=None, rng=None, **options):
        objective = _check_call(function.__name__, traits, q, target, eps, objective, rng)
        return function(q, target, eps, objective, rng, **options)

    return call


def _guarded_method(method, traits):
    @functools.wraps(method)
    def call(self, q, target, eps, objective=None, rng=None):
        objective = _check_call(snake_case(type(self).__name__), traits, q, target, eps, objective, rng)
        return method(self, q, target, eps, objective, rng)

    return call


def _check_call(name, traits, q, target, eps, objective, rng):
    """The objective, `PLAIN` for None, if the call fits the traits."""
    if traits.independent:
        noise.require_independent(name)
    objective = PLAIN if objective is None else objective
    check_objective(objective)
    if not hasattr(target, "grad"):
        raise TypeError(f"target must be a Target, tv.Target(value, grad), got {type(target).__name__}")
    if traits.objective == "average" and not objective.averages:
        raise ValueError(
            f"{name} estimates the gradient of an average over samples and would be biased on the importance-weighted "
            "bound of them; use 'dreg', 'vimco' or 'reparameterization', or an ELBO"
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
    _check_parts(name, traits, q)
    return objective


def _check_parts(name, traits, q):
    for part in traits.lacking(q):
        instead = ", such as 'leave_one_out' or 'score_function'" * hasattr(q, "score")
        raise ValueError(
            f"{name} needs q.{part}, which a {type(q).__name__} does not have; take another estimator{instead}"
        )
