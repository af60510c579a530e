"""What one gradient costs: evaluations of f and df/dz, and milliseconds."""

import copy
import time
from typing import NamedTuple

import numpy as np

from tinyvae.estimators import Target
from tinyvae.machine.arena import Arena
from tinyvae.models.step import encoder_gradient

__all__ = ["Cost", "Call", "vae_call", "target_call", "timed"]


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
    """A `Call` for one estimator, on x as training holds it, and on arrays that are reused from call to call, as there."""
    estimator = copy.deepcopy(estimator)  # one with state must not learn from being timed
    rng, arena, grads = np.random.default_rng(0), Arena(), np.empty_like(vae.theta)
    vae = vae.using(arena)

    def phi():
        arena.rewind()
        return encoder_gradient(vae, x, eps, estimator, objective, rng, grads)

    def step():
        arena.rewind()
        vae.step(x, eps, estimator, objective, rng, grads)

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
        name: Cost(
            call.evaluations,
            call.gradients,
            {
                "milliseconds": 1e3 * np.array(seconds[name]["phi"]),
                "step_milliseconds": 1e3 * np.array(seconds[name]["step"]),
            },
        )
        for name, call in calls.items()
    }
