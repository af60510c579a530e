"""What one gradient costs: evaluations of f and df/dz, and milliseconds."""

import copy
import time
from typing import NamedTuple

import numpy as np

from tinyvae.estimators import Target
from tinyvae.machine.arena import Arena
from tinyvae.models.step import encoder_gradient
from tinyvae.noise import in_use

__all__ = ["Cost", "Call", "vae_call", "target_call", "costs", "timed"]


class Cost(NamedTuple):
    """What one gradient costs.

    Attributes
    ----------
    evaluations : float
        How often f was asked for, a data point.
    gradients : float
        How often df/dz was asked for, a data point.
    timings : dict
        {"milliseconds": array (n_timings,), "step_milliseconds": array}, as in `Report.timings`.
    """

    evaluations: float
    gradients: float
    timings: dict


class Call(NamedTuple):
    """What is timed: functions without arguments, and the counts of one call.

    Attributes
    ----------
    phi : callable
        The gradient of phi alone.
    step : callable or None
        A whole training gradient; None where there is none.
    evaluations : float
        Of f, a data point, in one call of phi.
    gradients : float
        Of df/dz, a data point, in one call of phi.
    """

    phi: object
    step: object
    evaluations: float
    gradients: float


def vae_call(vae, x, eps, estimator, objective):
    """A `Call` for one estimator, on x as training holds it, and on arrays that are reused from call to call, as there.

    Parameters
    ----------
    vae : VAE
        The model, which stays as it is.
    x : array (B, D)
        Of the model's dtype, or uint8 holding 0 and 1.
    eps : array (S, B, K)
        The noise of every call.
    estimator : callable
        (q, target, eps, objective, rng) -> Draws. A copy is called.
    objective : ELBO or ImportanceWeighted
        What the estimator is given.

    Returns
    -------
    Call
        phi was called once, to count.
    """
    estimator, eps = copy.deepcopy(estimator), eps.copy()  # one with state must not learn from being timed
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
    """A `Call` for one estimator of a target without networks.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution
        Over K latents, one for each of B data points.
    target : Target
        The function f.
    eps : array (S, B, K)
        The noise of every call.
    estimator : callable
        (q, target, eps, objective, rng) -> Draws. A copy is called.
    objective : ELBO or ImportanceWeighted
        What the estimator is given.

    Returns
    -------
    Call
        phi was called once, to count; step is None.
    """
    estimator, rng = copy.deepcopy(estimator), np.random.default_rng(0)
    q, eps = q.like(q.params.copy()), eps.copy()  # it may write into them

    def phi():
        counted = Target(target, target.grad)
        estimator(q, counted, eps, objective, rng)
        return counted

    counted = phi()
    return Call(phi, None, counted.evaluations, counted.gradients)


def costs(call, plan):
    """What the estimators of a plan cost, on the samples of its noise scheme.

    Parameters
    ----------
    call : callable
        From an estimator to a `Call`.
    plan : Plan
        Of the measurement.

    Returns
    -------
    dict
        {name: Cost}.
    """
    with in_use(plan.noise):
        return timed({name: call(function) for name, function in plan.functions.items()}, plan.n_timings)


def timed(calls, n_timings):
    """Time calls, in repeats in which the estimators take turns.

    Parameters
    ----------
    calls : dict
        {name: Call}.
    n_timings : int
        Repeats; 0 for no timing.

    Returns
    -------
    dict
        {name: Cost}.
    """
    for call in calls.values():
        if n_timings and call.step is not None:
            call.step()  # the first is not timed; phi was called already
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
