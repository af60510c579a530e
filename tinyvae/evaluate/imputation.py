"""Filling in: what is missing of a data point, drawn given the rest of it."""

import numpy as np

from tinyvae import likelihoods, validate
from tinyvae.evaluate.bound import require_latents
from tinyvae.machine import team, workers
from tinyvae.objectives import finite

__all__ = ["impute", "METHODS"]

ROWS = 500  # chains that run side by side in one chunk
METHODS = ("metropolis_within_gibbs", "pseudo_gibbs")


def impute(vae, x, n_draws, rng, n_steps=500, method="metropolis_within_gibbs"):
    """Draws of what is missing, given what is there: x_missing ~ p(x_missing | x_observed) under the model.

    Each draw is the last state of a Markov chain of its own. A step of it is, with x filled in as it is now,

        z' ~ q(z | x),  taken in z's place with probability min(1, w(z') / w(z)),  w(z) = p(x | z) p(z) / q(z | x)
        x_missing ~ p(x_missing | z)

    `metropolis_within_gibbs` leaves the model's own conditional unchanged, whatever the encoder: a bad one costs steps,
    not correctness. Its first tenth of the steps takes every z', to come away from where it began. `pseudo_gibbs` takes
    every z' throughout: right only where q(z | x) is the posterior. A chain begins with a draw from the model that
    ignores what is there. Whether n_steps are enough, a run with ten times as many tells: the draws' mean should stay.
    Twice as many may not: where q(z | x) is far too narrow, a chain keeps its z for hundreds of steps.

    Parameters
    ----------
    vae : VAE
        The model.
    x : array (n, D)
        Floats. NaN marks what is missing, in any pattern: a row may lack nothing, or all.
    n_draws : int
        Draws a row, from chains that share nothing.
    rng : numpy.random.Generator
        Its state decides the draws, whatever the number of workers, and moves on.
    n_steps : int
        Of each chain.
    method : str
        "metropolis_within_gibbs" or "pseudo_gibbs".

    Returns
    -------
    array (n_draws, n, D)
        In x's dtype: x, with each NaN replaced by a drawn pixel, not by a pixel's mean. The mean over axis 0 is what to
        expect of a row. What is there stays bit for bit.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, observed values outside the likelihood's support included; for a likelihood that
        is no density, such as "squared_error", or that cannot be drawn from.
    NonFiniteLoss
        If the reconstruction term is not finite.

    Notes
    -----
    Grey pixels under a Bernoulli enter by their cross-entropy, no density, and what is drawn is black or white.

    Source: Rezende, Mohamed & Wierstra 2014 (pseudo-Gibbs); Mattei & Frellsen 2018, algorithm 1.
    """
    require_latents("impute", vae)
    likelihoods.require_density(vae.likelihood, "impute")
    n_draws = validate.integer("n_draws", n_draws, least=1)
    n_steps = validate.integer("n_steps", n_steps, least=1)
    validate.choice("method", method, METHODS)
    x = validate.real("x", x)
    validate.check_shape("x", x, ("n", vae.n_features))
    x = x if x.dtype in validate.FLOATS else x.astype(vae.dtype)
    seed = np.random.SeedSequence(validate.generator("rng", rng).integers(2**63, size=2))
    missing = np.isnan(x)  # n, D
    # What is there is checked beside one draw from the model, which lies in the support.
    _, _, drawn = _begin(vae, 1, np.random.default_rng(seed.spawn(1)[0]))
    vae.check_data(np.where(missing, drawn.astype(x.dtype), x))

    draws, holes = np.repeat(x[None], n_draws, axis=0), np.flatnonzero(missing.any(axis=1))
    n_free = n_steps if method == "pseudo_gibbs" else n_steps // 10  # steps that take every z'

    def chunks():
        for start in range(0, n_draws * len(holes), ROWS):
            chain = np.arange(start, min(start + ROWS, n_draws * len(holes)))
            yield chain // len(holes), holes[chain % len(holes)], np.random.default_rng(seed.spawn(1)[0])

    def last_state(chunk):
        draw, point, stream = chunk
        return draw, point, _run(vae, x[point].astype(vae.dtype), missing[point], n_steps, n_free, stream)

    with team.ready():  # as in training, whatever runs beside it
        for draw, point, state in workers.run(last_state, chunks()):
            draws[draw, point] = np.where(missing[point], state, x[point])
    return draws


def _begin(vae, n, rng):
    """n draws from the model: z (1, n, K), the decoder's outputs, and the pixels (n, D)."""
    z = np.ascontiguousarray(vae.prior.sample(rng, n, vae.n_latents, vae.dtype))[None]
    outputs, _ = vae.decoder.propagate(z[0])
    return z, outputs, _pixels(vae, outputs, rng)


def _pixels(vae, outputs, rng):
    """A draw from p(x | z), (n, D), in the model's dtype; outputs: the decoder's at z."""
    says = vae.likelihood(finite("the decoder's output", outputs), **vae.own)
    if not hasattr(says, "sample"):
        raise TypeError(
            f"impute draws pixels, which the likelihood {vae.likelihood.name!r} cannot: let what it returns when "
            "called have a method sample(rng)"
        )
    return np.asarray(says.sample(rng)).astype(vae.dtype)


def _run(vae, x, missing, n_steps, n_free, rng):
    """The last state of a chain for each row of x (R, D), changed in place; the first n_free steps take all."""
    z, outputs, drawn = _begin(vae, len(x), rng)
    np.copyto(x, drawn, where=missing)
    for step in range(n_steps):
        params, _ = vae.encoder.propagate(x)
        q = vae.latents(params)
        proposed = np.ascontiguousarray(q.sample(q.noise(rng)))  # 1, R, K
        proposed_outputs, _ = vae.decoder.propagate(proposed[0])
        if step < n_free:
            z, outputs = proposed, proposed_outputs
        else:
            ratio = _log_weights(vae, q, proposed, proposed_outputs, x) - _log_weights(vae, q, z, outputs, x)  # R
            taken = -rng.standard_exponential(len(x)) < ratio  # log of a uniform number
            z[:, taken], outputs[taken] = proposed[:, taken], proposed_outputs[taken]
        np.copyto(x, _pixels(vae, outputs, rng), where=missing)
    return x


def _log_weights(vae, q, z, outputs, x):
    """log p(x | z) + log p(z) - log q(z | x), nats, (R,) float64."""
    losses = np.empty(len(x), vae.dtype)
    vae.likelihood.loss(outputs, x, losses, **vae.own)
    finite("the reconstruction term", losses)
    return -losses.astype("float64") - q.log_ratio(z)[0]
