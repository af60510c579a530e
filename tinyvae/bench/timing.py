"""What is timed, a training step and its bare matrix products, and how.

In turns, so that a busy machine slows all alike.
"""

import functools
import time

import numpy as np

from tinyvae.machine import blas
from tinyvae.training import train

__all__ = [
    "pixels", "training_step", "bare_products", "alternate", "block", "spread", "milliseconds", "ratio", "N_ROWS",
    "ONES",
]  # fmt: skip

N_ROWS = 5000
ONES = 0.13  # the share of ones in binarized MNIST
SETTLE = 0.05  # seconds after which OpenBLAS's threads, which spin on after a product, have gone to sleep


def pixels(n_rows, n_features, binary, seed=1):
    """Synthetic data.

    Parameters
    ----------
    n_rows, n_features : int
        Their shape.
    binary : bool
        Which of the two.
    seed : int
        Of the draws.

    Returns
    -------
    array (n_rows, n_features)
        uint8 with 13% ones if binary, else uniform float32 in [0, 1].
    """
    u = np.random.default_rng(seed).random((n_rows, n_features), dtype=np.float32)
    return (u < ONES).astype(np.uint8) if binary else u


def training_step(vae, x, batch_size, n_samples=1):
    """A function that takes the next training step: minibatch, noise, loss, gradient, Adam.

    Parameters
    ----------
    vae : VAE
        The model, trained in place.
    x : array (n, D)
        The data.
    batch_size, n_samples : int
        Data points a step, samples a data point.

    Returns
    -------
    callable
        Without arguments; it returns the Record.
    """
    return functools.partial(next, train(vae, x, batch_size=batch_size, n_samples=n_samples, epochs=10**9))


def bare_products(vae, batch_size, n_samples=1):
    """A function that does a training step's matrix products and nothing else.

    On as many BLAS threads as NumPy is set to.

    Parameters
    ----------
    vae : VAE
        The model, whose weights are copied.
    batch_size, n_samples : int
        Data points a step, samples a data point.

    Returns
    -------
    callable
        Without arguments.
    """
    rng = np.random.default_rng(0)
    products = []

    def product(a, b):
        products.append((a, b, np.empty((a.shape[0], b.shape[1]), vae.dtype)))
        return products[-1][-1]

    def forward(network, h):
        inputs = []
        for layer in range(network.n_layers):
            inputs.append(h)
            h = product(h, network.params[f"W{layer}"].copy())  # rows, n_out
        return inputs

    def backward(network, inputs, needs_dx):
        delta = np.ones((len(inputs[0]), network.sizes[-1]), vae.dtype)
        for layer in reversed(range(network.n_layers)):
            product(inputs[layer].T, delta)  # n_in, n_out
            if layer or needs_dx:
                delta = product(delta, network.params[f"W{layer}"].copy().T)  # rows, n_in

    x, z = (
        rng.random(shape, dtype=vae.dtype)
        for shape in ((batch_size, vae.n_features), (n_samples * batch_size, vae.n_latents))
    )
    encoder, decoder = forward(vae.encoder, x), forward(vae.decoder, z)
    backward(vae.decoder, decoder, needs_dx=True)
    backward(vae.encoder, encoder, needs_dx=False)

    def run():
        with blas.own_threads():  # a training run that waits beside this one keeps BLAS to one
            for a, b, out in products:
                np.dot(a, b, out=out)

    return run


# --- timing -----------------------------------------------------------------------------------------------


def alternate(functions, rounds, seconds):
    """Time functions in turn, in blocks of calls.

    Parameters
    ----------
    functions : dict
        {name: function without arguments}.
    rounds : int
        Blocks of each.
    seconds : float
        What a block fills.

    Returns
    -------
    dict
        {name: [[seconds of each call] for each round]}.
    """
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            time.sleep(SETTLE)
            function()
            times[name].append(block(function, seconds))
    return times


def block(function, seconds):
    """The times of as many calls as fill `seconds`, at least three.

    Parameters
    ----------
    function : callable
        Without arguments.
    seconds : float
        To be filled.

    Returns
    -------
    list of float
        Seconds of each call.
    """
    times, began = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() < began + seconds:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def spread(values):
    """The median of numbers, and their 10% and 90% points.

    Parameters
    ----------
    values : sequence of float
        The numbers.

    Returns
    -------
    dict
        "median", "low", "high".
    """
    low, median, high = np.percentile(np.asarray(values, "float64"), (10, 50, 90)).tolist()
    return {"median": median, "low": low, "high": high}


def milliseconds(times):
    """The spread of `alternate`'s times of one function.

    Parameters
    ----------
    times : list of list of float
        Seconds.

    Returns
    -------
    dict
        As `spread`, milliseconds.
    """
    return spread(1e3 * np.concatenate(times))


def ratio(times, reference):
    """The spread, over rounds, of a function's median time over another's in the same round.

    Parameters
    ----------
    times, reference : list of list of float
        `alternate`'s of the two functions.

    Returns
    -------
    dict
        As `spread`.
    """
    return spread([np.median(a) / np.median(b) for a, b in zip(times, reference)])
