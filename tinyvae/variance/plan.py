"""What a measurement is asked to do: checked once at the door, and passed whole."""

import copy
from dataclasses import dataclass

import numpy as np

from tinyvae import estimators as registry
from tinyvae import noise as schemes
from tinyvae import validate
from tinyvae.estimators.contract import ask
from tinyvae.objectives import ELBO, check_objective

__all__ = ["Plan"]


@dataclass
class Plan:
    """The arguments that `measure`, `measure_target` and `decompose` share, checked as it is made.

    Their defaults stand here.

    Parameters
    ----------
    estimators : sequence of str or callable
        Names, or callables (q, target, eps, objective, rng) -> Draws; at least one, of different names.
    objective : ELBO or ImportanceWeighted
        What the gradient is of.
    n_draws : int
        Independent replicates, at least 2.
    n_samples : int
        Samples a data point in each replicate, at least 1.
    seed : int
        Of all noise.
    n_timings : int
        Repeats of the timing, 0 for none.
    noise : str or callable
        A scheme or its name, see `tv.noise`.
    warmup : int
        Calls and updates of an estimator that learns and was made by name.

    Attributes
    ----------
    noise : callable
        The scheme. The other parameters are kept as given, the numbers as int.
    functions : dict
        {name: callable}, each estimator resolved once.
    fresh : list of str
        The names among them that were made by name.

    Raises
    ------
    TypeError
        If `estimators` is one alone, if an estimator or the objective is not one, or if a number is not an integer.
    ValueError
        If there is no estimator, if two have the same name, if a name is unknown or a number too small.
    """

    estimators: tuple = ("score_function", "reparameterization")
    objective: object = ELBO()
    n_draws: int = 1000
    n_samples: int = 1
    seed: int = 0
    n_timings: int = 11
    noise: object = "independent"
    warmup: int = 200

    def __post_init__(self):
        check_objective(self.objective)
        if isinstance(self.estimators, str) or callable(self.estimators):
            raise TypeError(
                f"estimators must be a sequence of names or callables, got {self.estimators!r}; put it in a list"
            )
        self.functions, self.fresh = {}, []
        for estimator in self.estimators:
            function, name = registry.resolve(estimator), registry.name_of(estimator)
            if name in self.functions:
                raise ValueError(
                    f"estimators must have different names, got {name!r} twice; give a callable another __name__"
                )
            self.functions[name] = function
            self.fresh += [name] * isinstance(estimator, str)
        if not self.functions:
            raise ValueError("estimators must name at least one estimator, got none")
        self.noise = schemes.resolve(self.noise)
        for name, least in (("n_draws", 2), ("n_samples", 1), ("n_timings", 0), ("seed", 0), ("warmup", 0)):
            setattr(self, name, validate.integer(name, getattr(self, name), least=least))

    def eps(self, q):
        """One draw of eps for q, (S, B, ...), after the scheme was found to fit the objective and all estimators.

        Raises ValueError where it does not.
        """
        for function in self.functions.values():
            schemes.require_compatible(self.noise, function, self.objective)
        return q.noise(np.random.default_rng(self.seed), self.n_samples, self.noise)

    def warm(self, situations):
        """Let the fresh estimators that learn make `warmup` calls and updates, on noise that is not the measurement's.

        situations is a list of (q, target), taken in turn; each estimator sees the same noise.
        """
        for name in self.fresh:
            function = self.functions[name]
            if not registry.learns(function):
                continue
            rng, own = (np.random.default_rng(child) for child in np.random.SeedSequence([self.seed, 1]).spawn(2))
            with schemes.in_use(self.noise):
                for step in range(self.warmup):
                    q, target = situations[step % len(situations)]
                    ask(function, q, target, q.noise(rng, self.n_samples, self.noise), self.objective, own, name)
                    function.update()

    def seeded(self, seed):
        """The same plan, its estimators as they have become, with another seed."""
        other = copy.copy(self)
        other.seed = seed
        return other
