"""What an estimator is given and what it returns.

Its draws for a data point should depend on that point's own q, eps and random numbers alone, not on who else is in the call:
then many replicates can lie side by side in one call, and a batch of one is a batch like any other.
"""

from typing import NamedTuple

import numpy as np

from tinyvae import validate


class Draws(NamedTuple):
    """An estimator's unaveraged result: the mean over axis 0 is the estimate.

    f: (S, B), each sample's loss, nats; dparams: (S, B, 2K), each sample's contribution to
    d E_q[f] / d [mu, logvar].
    """

    f: np.ndarray
    dparams: np.ndarray

    @property
    def dmu(self):
        return self.dparams[..., : self.dparams.shape[-1] // 2]

    @property
    def dlogvar(self):
        return self.dparams[..., self.dparams.shape[-1] // 2 :]


class Target:
    """The function f inside E_q[f(z)], asked rather than precomputed, so that its evaluations can be counted.

    value: z (S, B, K) -> f (S, B); grad: z -> df/dz (S, B, K), needed by pathwise estimators only.
    evaluations, gradients: how many samples a data point f and df/dz have been asked for.

    Raises ValueError if a result has the wrong shape, or if `grad` is asked for and was not given.
    """

    def __init__(self, value, grad=None):
        for name, function in (("value", value), ("grad", grad)):
            if not callable(function) and not (name == "grad" and function is None):
                raise TypeError(f"Target's {name} must be a function of z (S, B, K), got {type(function).__name__}")
        self._value, self._grad = value, grad
        self.evaluations = self.gradients = 0

    def __call__(self, z):
        self.evaluations += len(z)
        return self._checked("value", self._value(z), z.shape[:2], z.dtype)

    def grad(self, z):
        if self._grad is None:
            raise ValueError("this estimator needs df/dz: give the target one, tv.Target(value, grad)")
        self.gradients += len(z)
        return self._checked("grad", self._grad(z), z.shape, z.dtype)

    @staticmethod
    def _checked(name, result, shape, dtype):
        result = np.asarray(result, dtype)
        if result.shape != shape:
            raise ValueError(f"the target's {name} must return shape {shape}, got {result.shape}")
        return result


def checked_draws(draws, eps, name="the estimator"):
    """What an estimator returned for eps (S, B, K), if it is Draws of the right shapes, in eps's dtype."""
    if not isinstance(draws, Draws):
        raise TypeError(f"{name} must return tv.Draws(f, dparams), got {type(draws).__name__}")
    n_samples, n_points, n_latents = eps.shape
    f, dparams = (np.asarray(part, eps.dtype) for part in draws)
    validate.check_shape(f"{name}'s f", f, (n_samples, n_points))
    validate.check_shape(f"{name}'s dparams", dparams, (n_samples, n_points, 2 * n_latents))
    return Draws(f, dparams)


def check_samples(name, eps, least):
    """Raise unless eps (S, B, K) brings at least `least` samples a point."""
    validate.check_shape("eps", eps, ("S", "B", "K"))
    if len(eps) < least:
        raise ValueError(f"{name} needs n_samples of at least {least}, got {len(eps)}: give n_samples={least} or more (--n-samples on the command line)")
