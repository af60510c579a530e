"""What one gradient costs: evaluations of f and df/dz, and milliseconds."""

import copy
import time
from typing import NamedTuple

import numpy as np

from tinyvae.arena import Arena
from tinyvae.distributions import LIKELIHOODS, DiagonalGaussian
from tinyvae.estimators import Target
from tinyvae.vae import Reconstruction


class Cost(NamedTuple):
    """Of one gradient: f and df/dz evaluations a data point, and `Report.timings`."""

    evaluations: float
    gradients: float
    timings: dict


class Call(NamedTuple):
    """What is timed: functions without arguments, and the counts of one call."""

    phi: object
    step: object
    evaluations: float
    gradients: float


def vae_call(vae, x, eps, estimator, objective):
    """A `Call` for one estimator, on arrays that are reused from call to call, as in training."""
    estimator = copy.deepcopy(estimator)  # one with state must not learn from being timed
    rng, empty, grads = np.random.default_rng(0), Arena(), np.empty_like(vae.theta)
    encoder_grads = vae.encoder.views(grads[: vae.n_encoder])

    def phi():
        """The encoder's part of `VAE._step`. Returns the target, which has counted."""
        empty.rewind()
        params, cache = vae.encoder._forward(x, empty)
        q = DiagonalGaussian.from_params(params)
        target = Reconstruction(vae.decoder, LIKELIHOODS[vae.likelihood], x, empty)
        draws = estimator(q, target, eps, objective, rng)
        vae._encoder_gradient(q, cache, draws, objective, encoder_grads, empty)
        return target

    def step():
        empty.rewind()
        vae._step(x, eps, estimator, objective, rng, grads, empty)

    target = phi()
    return Call(phi, step, target.evaluations, target.gradients)


def target_call(q, target, eps, estimator, objective):
    """A `Call` for one estimator of a target without networks."""
    estimator, rng = copy.deepcopy(estimator), np.random.default_rng(0)

    def phi():
        counted = Target(target, target.grad)
        estimator(q, counted, eps, objective, rng)
        return counted

    counted = phi()
    return Call(phi, None, counted.evaluations, counted.gradients)


def timed(calls, n_timings):
    """{name: Cost} of {name: Call}: `n_timings` repeats, in which the estimators take turns."""
    seconds = {name: {"phi": [], "step": []} for name in calls}
    for _ in range(n_timings):
        for name, call in calls.items():
            for kind in ("phi", "step"):
                function = getattr(call, kind)
                if function is not None:
                    began = time.perf_counter()
                    function()
                    seconds[name][kind].append(time.perf_counter() - began)
    return {
        name: Cost(call.evaluations, call.gradients, {
            "milliseconds": 1e3 * np.array(seconds[name]["phi"]),
            "step_milliseconds": 1e3 * np.array(seconds[name]["step"]),
        })
        for name, call in calls.items()
    }
