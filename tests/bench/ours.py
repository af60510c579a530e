"""tinyvae's own side of the benchmark, in the signatures of `peers_torch.py` and `peers_jax.py`."""

import functools
import inspect

import numpy as np

import tinyvae as tv
from tinyvae import bench


def versions():
    machine = bench.machine()
    return {
        "tinyvae": tv.__version__,
        **{name: machine[name] for name in ("numpy", "numba", "python", "workers", "blas_threads")},
    }


def make(sizes):
    middle = len(sizes) // 2
    return tv.VAE(sizes[0], sizes[middle], tuple(sizes[1:middle]))


def train_step(sizes, batch_size, binary, floor=True):
    """-> {"step": a training step, "floor": its bare matrix products}, to be timed in turn."""
    vae = make(sizes)
    step = bench.training_step(vae, bench.pixels(bench.N_ROWS, sizes[0], binary), batch_size)
    return {"step": step, "floor": bench.bare_products(vae, batch_size)} if floor else step


class Still:
    """An optimiser that leaves the parameters: what is timed is the gradient."""

    def step(self, theta, grads):
        """Nothing."""


def bits_gradient(sizes, batch_size, estimator):
    """-> run(): one gradient on the next minibatch, and a step of what the estimator learns; latents are bits."""
    middle = len(sizes) // 2
    vae = tv.VAE(sizes[0], sizes[middle], tuple(sizes[1:middle]), latents="binary")
    x = bench.pixels(bench.N_ROWS, sizes[0], binary=True)
    function = tv.estimators.make(estimator, **({"temperature": 0.5} if estimator == "relax" else {}))
    options = {"n_samples": tv.estimators.traits(function).samples, "batch_size": batch_size, "epochs": 10**9}
    return functools.partial(next, tv.train(vae, x, function, optimizer=Still(), **options))


def gradient_moments(estimator, n_draws):
    """-> run(): mean and variance of each encoder parameter's gradient over n_draws draws of one batch's noise."""
    vae, x = make((784, 500, 20, 500, 784)), bench.pixels(100, 784, binary=True)
    options = {"n_draws": n_draws, "n_samples": 2 if estimator == "leave_one_out" else 1, "n_timings": 0}
    if "blocks" in inspect.signature(tv.variance.measure).parameters:
        options["blocks"] = ("encoder",)
    return lambda: tv.variance.measure(vae, x, (estimator,), **options)


def log_likelihood(n_points, n_samples):
    """-> run(): (n_points,) log-mean-exp of n_samples importance weights."""
    vae, x = make((784, 200, 200, 50, 200, 200, 784)), bench.pixels(n_points, 784, binary=True)
    rng = np.random.default_rng(0)
    return lambda: vae.log_likelihood(x, n_samples, rng)


def scaling(batches, samples, widths, batch_size=100, width=500):
    """-> {"batch 25": step, ..., "samples 1": ..., "width 125": ...} of 784-width-20, one quantity varied at a time."""
    x = bench.pixels(bench.N_ROWS, 784, binary=True)

    def step(batch_size=batch_size, n_samples=1, width=width):
        return bench.training_step(make((784, width, 20, width, 784)), x, batch_size, n_samples)

    steps = {f"batch {n}": step(batch_size=n) for n in batches}
    steps |= {f"samples {n}": step(n_samples=n) for n in samples}
    return steps | {f"width {n}": step(width=n) for n in widths}
