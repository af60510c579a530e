"""What can be known exactly of latents that have few states."""

import numpy as np

from tinyvae import likelihoods
from tinyvae.distributions.categorical import MOST_STATES
from tinyvae.evaluate.bound import require_latents
from tinyvae.machine import team, workers
from tinyvae.machine.progress import passing_bar
from tinyvae.objectives import finite

__all__ = ["exact_log_likelihood", "rate_terms", "states", "MOST_STATES"]

POINTS = 100  # data points in one chunk
STATES = 50  # states whose pixels are held at once, a worker


def states(vae, what, instead):
    """All states z of a model's latents, and log p(z).

    Parameters
    ----------
    vae : VAE or TwoLayerVAE
        Of bits or choices, of at most 4,096 states.
    what, instead : str
        What enumerates them, and what to take where that cannot be, for a message.

    Returns
    -------
    z : array (N, code_size)
        Of two layers the lower one's.
    log_p : array (N,)
        Nats, float64.

    Raises
    ------
    TypeError or ValueError
        For latents without states, or of too many.
    """
    require_latents(what, vae, "noise")
    if vae.n_states == np.inf:
        raise TypeError(f"{what} enumerates states, which latents of {vae.family.name!r} have not: take {instead}")
    try:
        z, log_p = vae.states()
    except ValueError as error:
        raise ValueError(f"{what}: {error}; take {instead}") from None
    return z, log_p.astype("float64")


def exact_log_likelihood(vae, x):
    """log p(x) of a model with discrete latents, by enumeration of all their states.

        log sum_z p(z) p(x | z)

    Parameters
    ----------
    vae : VAE or TwoLayerVAE
        Of bits or choices, of at most 4,096 states: 12 bits, in both layers together. Its encoder is not asked.
    x : array (n, D)
        The data.

    Returns
    -------
    array (n,)
        Nats, float64.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, latents without states or of too many, or a likelihood that is no density.
    NonFiniteLoss
        If a term is not finite.
    """
    require_latents("the likelihood", vae, "noise")
    likelihoods.require_density(vae.likelihood, "exact_log_likelihood")
    z, log_p = states(vae, "exact_log_likelihood", "log_likelihood, which is by importance samples")
    x = vae.check_data(x)

    def log_sum(start):
        pixels, total = x[start : start + POINTS].astype(vae.dtype, copy=False), -np.inf
        for first in range(0, len(z), STATES):
            some = slice(first, first + STATES)
            losses = _losses(vae, _decoded(vae, z[some]), pixels)  # s, p
            total = np.logaddexp(total, np.logaddexp.reduce(log_p[some, None] - losses, axis=0))
        return total

    with team.ready():
        found = list(workers.run(log_sum, range(0, len(x), POINTS)))
    return np.concatenate(found) if found else np.empty(0)


def rate_terms(vae, x, mixture, z):
    """Each data point's share of what `rates` tells, by enumeration.

    Parameters
    ----------
    vae : VAE
        Of bits or choices.
    x : array (n, D)
        The data.
    mixture : Mixture
        Their codes.
    z : array (N, code_size)
        All states.

    Returns
    -------
    array (n, 5)
        Of the distortion, the information, KL(q(z) || p(z)), and the information low and high: nats.
    """
    log_p = mixture.q.prior.log_prob(z[:, None].astype("float64"))  # N, 1

    def sums(first):
        some = slice(first, first + STATES)
        own, outputs = mixture.log_densities(z[some], np.arange(len(x))), _decoded(vae, z[some])  # s, n; s, D
        together = np.logaddexp.reduce(own, axis=1, keepdims=True) - np.log(len(x))  # s, 1
        losses = np.empty_like(own)
        for start in range(0, len(x), POINTS):
            pixels = x[start : start + POINTS].astype(vae.dtype, copy=False)
            losses[:, start : start + POINTS] = _losses(vae, outputs, pixels)
        terms = losses, own - together, together - log_p[some], own - together, own - _of_others(own)
        weights = np.exp(own)
        return np.stack([(weights * term).sum(axis=0) for term in terms], axis=1)

    total = np.zeros((len(x), 5))
    with passing_bar(len(z), "state") as bar:
        for found in workers.run(sums, range(0, len(z), STATES)):
            total += found
            bar.update(min(STATES, len(z) - bar.n))
    return total


def _of_others(log_q):
    """The log of the mean density of all codes but one: log_q (s, n) -> (s, n), for each one that is left out."""
    before, after = (np.logaddexp.accumulate(one, axis=1) for one in (log_q, log_q[:, ::-1]))
    nothing = np.full((len(log_q), 1), -np.inf)
    before, after = np.hstack([nothing, before[:, :-1]]), np.hstack([nothing, after[:, :-1]])[:, ::-1]
    return np.logaddexp(before, after) - np.log(log_q.shape[1] - 1)


def _decoded(vae, z):
    """The decoder's outputs at z (s, code_size), (s, outputs D)."""
    return vae.decoder.propagate(np.ascontiguousarray(z))[0]


def _losses(vae, outputs, pixels):
    """-log p(x | z) of each state beside each data point, nats: outputs (s, ...), pixels (p, D) -> (s, p)."""
    losses = np.empty((len(outputs), len(pixels)), vae.dtype)
    vae.likelihood.loss(np.repeat(outputs, len(pixels), axis=0), pixels, losses.reshape(-1), **vae.own)
    return finite("the reconstruction term", losses)
