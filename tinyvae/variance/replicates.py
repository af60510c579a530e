"""Independent replicates of an estimate, side by side on the batch axis, chunk by chunk on all workers."""

import copy

import numpy as np

from tinyvae import validate
from tinyvae.estimators import Target
from tinyvae.estimators.contract import ask
from tinyvae.machine import workers
from tinyvae.noise import in_use

__all__ = ["replicates", "folded", "analytic_kl_grad"]

AHEAD = 16  # chunks that may wait, so that the workers need not when the results are taken in batches


def replicates(q, new_target, plan, per_chunk, also=None):
    """Yield, in order, chunks of R replicates.

    Each chunk has a target of its own, its own copies of the plan's estimators and a seed of its own; each
    estimator has a q and an eps to write into: nothing depends on what was computed before, or on which worker did it.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution
        Over K latents, one for each of B data points.
    new_target : callable
        new_target() makes a chunk its own target.
    plan : Plan
        What is measured.
    per_chunk : int
        How many replicates a chunk holds, at most.
    also : callable or None
        What else to do with a chunk, also(tiled q, target, eps), eps (S, R * B, K).

    Yields
    ------
    tuple
        {name: dparams, an array (R, B, P)}, float64, an analytic KL's gradient included, and what `also` returned, or
        None.

    Raises
    ------
    TypeError or ValueError
        If an estimator or the target returns what it must not: other than Draws, a wrong shape, NaN or infinity.
    NonFiniteLoss
        If a VAE's reconstruction term is not finite.
    """
    rows, kl_grad = len(q.params), analytic_kl_grad(q, plan.objective)
    sizes = [min(per_chunk, plan.n_draws - start) for start in range(0, plan.n_draws, per_chunk)]

    def chunk(task):
        size, child = task
        noise_seed, estimator_seed = child.spawn(2)
        tiled = q.like(np.tile(q.params, (size, 1)))
        eps = tiled.noise(np.random.default_rng(noise_seed), plan.n_samples, plan.noise)
        target, results = new_target(), {}
        for name, function in plan.functions.items():
            rng = np.random.default_rng(estimator_seed)
            with in_use(plan.noise):
                own = copy.deepcopy(function)
                dparams = ask(own, tiled, folded(target, rows), eps, plan.objective, rng, name).dparams
            validate.check_finite(f"{name}'s dparams", dparams)
            results[name] = dparams.mean(axis=0, dtype="float64").reshape(size, rows, -1) + kl_grad
        return results, also(tiled, target, eps) if also else None

    ahead = 2 if also else AHEAD
    yield from workers.run(chunk, list(zip(sizes, np.random.SeedSequence(plan.seed).spawn(len(sizes)))), ahead)


def analytic_kl_grad(q, objective):
    """What a KL in closed form adds to each data point's gradient.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution
        One for each of B data points.
    objective : ELBO or ImportanceWeighted
        It weighs the KL.

    Returns
    -------
    array (B, P) or float
        float64; 0 where the objective takes none.
    """
    weights = objective.kl_weights(q)
    return q.by_params(weights) * q.kl_grad() if np.any(weights) else 0.0


def folded(target, rows):
    """A target for replicates on the batch axis.

    Parameters
    ----------
    target : Target
        It is itself asked about z (S * R, rows, K).
    rows : int
        B, the data points of one replicate.

    Returns
    -------
    Target
        It takes z (S, R * B, K).
    """

    def value(z):
        # A copy: the target may remember what it returned, and a reader's estimator may work in place.
        return np.array(target(z.reshape(-1, rows, z.shape[-1]))).reshape(z.shape[:2])

    def grad(z):
        return np.array(target.grad(z.reshape(-1, rows, z.shape[-1]))).reshape(z.shape)

    return Target(value, grad)
