"""What an estimator is given, what it returns, and what it says of itself.

S samples a point, B points in a call, K latents, P parameters of q for a point (2K for a Gaussian).

Its draws for a data point should depend on that point's own q, eps and random numbers alone, not on who else is in the
call: then many independent repetitions can lie side by side in one call, and a batch of one is a batch like any other.

The decoder is trained at `q.sample(eps)`, whatever the estimator; one for which that is wrong, a relaxation, carries a
function `decoder_sample(q, eps)`, which returns where: see `traits.decoder_sample`.

One that stands in this folder tells in its docstring the formula, where it wins and loses, what it costs, what it
raises, and its source ("Wins:", "Loses:", "Costs", "Source:").
"""

from typing import NamedTuple

import numpy as np

from tinyvae import validate

__all__ = ["Draws", "Target", "checked_draws", "ask", "check_samples"]


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
        When it is asked: if a result is complex or masked.
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
        result = validate.real(f"the target's {name}", result, dtype)
        if result.shape != shape:
            raise ValueError(f"the target's {name} must return shape {shape}, got {result.shape}")
        self.check_finite(name, result)
        return result

    def check_finite(self, name, result):
        """Raise unless every element of what `name`, "value" or "grad", returned is finite."""
        validate.check_finite(f"the target's {name}", result)


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
        If it is no Draws, or a part of it is complex or masked.
    ValueError
        If a shape does not fit.
    """
    if not isinstance(draws, Draws):
        raise TypeError(f"{name} must return tv.Draws(f, dparams), got {type(draws).__name__}")
    f, dparams = (validate.real(f"{name}'s {part}", getattr(draws, part), q.dtype) for part in Draws._fields)
    validate.check_shape(f"{name}'s f", f, eps.shape[:2])
    validate.check_shape(f"{name}'s dparams", dparams, (*eps.shape[:2], q.params.shape[1]))
    return Draws(f, dparams)


def ask(estimator, q, target, eps, objective, rng, name="the estimator"):
    """An estimator's draws, checked; what it writes into the q and eps that it is handed stays with it.

    Parameters
    ----------
    estimator : callable
        (q, target, eps, objective, rng) -> Draws.
    q : DiagonalGaussian or another distribution
        It is handed a copy.
    target : Target
        f.
    eps : array (S, B, ...)
        It is handed a copy.
    objective : ELBO, ImportanceWeighted, another objective, or None
    rng : numpy.random.Generator or None
    name : str, optional
        What messages call it.

    Returns
    -------
    Draws
        As `checked_draws` gives them.
    """
    return checked_draws(estimator(q.like(q.params.copy()), target, eps.copy(), objective, rng), q, eps, name)


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
