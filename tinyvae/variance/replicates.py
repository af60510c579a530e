"""Independent replicates of an estimate, side by side on the batch axis, chunk by chunk on all workers."""

import copy

import numpy as np

from tinyvae import validate, workers
from tinyvae.distributions import DiagonalGaussian
from tinyvae.estimators import Target
from tinyvae.estimators.contract import checked_draws

AHEAD = 16  # chunks that may wait, so that the workers need not when the results are taken in batches


def replicates(q, new_target, functions, objective, noise, n_draws, n_samples, seed, per_chunk, also=None):
    """Yield, in order, chunks of R replicates: ({name: dparams (R, B, 2K)}, also(tiled q, target, eps)).

    new_target() makes a chunk its own target, and each chunk has its own copies of the estimators and a seed of its
    own: nothing depends on what was computed before, or on which worker did it. also: what else to do with a chunk.
    """
    rows = len(q.mu)
    kl_grad = objective.analytic_kl * q.kl_grad().astype("float64") if objective.analytic_kl else 0.0  # B, 2K
    sizes = [min(per_chunk, n_draws - start) for start in range(0, n_draws, per_chunk)]

    def chunk(task):
        size, child = task
        noise_seed, estimator_seed = child.spawn(2)
        tiled = DiagonalGaussian.from_params(np.tile(q.params, (size, 1)))
        eps = noise(np.random.default_rng(noise_seed), n_samples, size * rows, q.mu.shape[1], q.dtype)
        target, results = new_target(), {}
        for name, function in functions.items():
            drawn = copy.deepcopy(function)(tiled, folded(target, rows), eps.copy(), objective, np.random.default_rng(estimator_seed))
            dparams = checked_draws(drawn, eps, name).dparams
            validate.check_finite(f"{name}'s dparams", dparams)
            results[name] = dparams.mean(axis=0, dtype="float64").reshape(size, rows, -1) + kl_grad
        return results, also(tiled, target, eps) if also else None

    ahead = 2 if also else AHEAD
    yield from workers.run(chunk, list(zip(sizes, np.random.SeedSequence(seed).spawn(len(sizes)))), ahead)


def unsplit(function, *arguments):
    """function(*arguments), by a worker: its products are then not split in halves, which can change the last bit."""
    (result,) = workers.run(lambda _: function(*arguments), [None])
    return result


def folded(target, rows):
    """`target` for replicates on the batch axis: it is itself asked about (S * R, rows, K)."""

    def value(z):
        # A copy: the target may remember what it returned, and a reader's estimator may work in place.
        return np.array(target(z.reshape(-1, rows, z.shape[-1]))).reshape(z.shape[:2])

    def grad(z):
        return np.array(target.grad(z.reshape(-1, rows, z.shape[-1]))).reshape(z.shape)

    return Target(value, grad)


def warmed(functions, fresh, situations, objective, noise, n_samples, warmup, seed):
    """`functions`, those of `fresh` names that learn having made `warmup` calls and updates.

    situations: a list of (q, target), taken in turn. Each estimator sees the same noise, which is not the measurement's.
    """
    for name in fresh:
        function = functions[name]
        if not hasattr(function, "update"):
            continue
        rng, own = (np.random.default_rng(child) for child in np.random.SeedSequence([seed, 1]).spawn(2))
        for step in range(warmup):
            q, target = situations[step % len(situations)]
            function(q, target, noise(rng, n_samples, *q.mu.shape, q.dtype), objective, own)
            function.update()
    return functions
