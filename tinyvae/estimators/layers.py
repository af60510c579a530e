"""An estimator for each of two layers of latents."""

import copy

from tinyvae.estimators.traits import Traits, learns, name_of, traits

__all__ = ["PerLayer", "per_layer", "copy_that_forgets"]


class PerLayer:
    """Two estimators, one for each layer of latents.

    Parameters
    ----------
    lower, upper : callable
        (q, target, eps, objective, rng) -> Draws.

    Attributes
    ----------
    parts : tuple
        (lower, upper).
    """

    def __init__(self, lower, upper):
        self.parts = lower, upper

    @property
    def traits(self):
        """What either needs: `Traits`."""
        one, other = map(traits, self.parts)
        return Traits(
            samples=max(one.samples, other.samples),
            independent=one.independent or other.independent,
            objective=one.objective if one.objective != "any" else other.objective,
            f=tuple(dict.fromkeys(one.f + other.f)),
            draws=one.draws or other.draws,
            biased=one.biased or other.biased,
        )

    def __repr__(self):
        lower, upper = (repr(one) if learns(one) else name_of(one) for one in self.parts)
        return f"{type(self).__name__}({lower}, {upper})"


class LearningPerLayer(PerLayer):
    """The same where one of the two learns: `update`, `state` and `restore` of those that do."""

    def update(self):
        """Let each that learns take in its last call."""
        for one in self.parts:
            if learns(one):
                one.update()

    def state(self):
        """What was learnt so far, as arrays by name, "lower." or "upper." before each."""
        return {f"{layer}.{name}": array for layer, one in self._with_state() for name, array in one.state().items()}

    def restore(self, state):
        """Go on from what `state` returned; an empty dict is a fresh start."""
        for layer, one in self._with_state():
            start = f"{layer}."
            one.restore({name[len(start) :]: array for name, array in state.items() if name.startswith(start)})

    def _with_state(self):
        return [(layer, one) for layer, one in zip(("lower", "upper"), self.parts) if hasattr(one, "state")]


def per_layer(lower, upper=None):
    """The pair of two estimators; one that learns learns for one layer, so that the other gets a copy of its own.

    Parameters
    ----------
    lower : callable
        The estimator of the lower layer.
    upper : callable, optional
        The upper layer's; None takes the same.

    Returns
    -------
    PerLayer
        With `update`, `state` and `restore` if one of the two learns.
    """
    if upper is None or upper is lower:
        upper = copy.deepcopy(lower) if learns(lower) or hasattr(lower, "state") else lower
    kind = LearningPerLayer if any(learns(one) or hasattr(one, "state") for one in (lower, upper)) else PerLayer
    return kind(lower, upper)


def copy_that_forgets(estimator):
    """The estimator for a call that it is not to learn from: what it learnt is shared, what it saw stays with it.

    Parameters
    ----------
    estimator : callable

    Returns
    -------
    callable
        Itself, if it does not learn.
    """
    return copy.copy(estimator) if learns(estimator) else estimator
