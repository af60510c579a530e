"""What can be known exactly of latents that have few states."""

import numpy as np

from tinyvae import likelihoods
from tinyvae.evaluate.bound import require_latents
from tinyvae.machine import team, workers
from tinyvae.objectives import finite

__all__ = ["exact_log_likelihood"]

POINTS = 100  # data points in one chunk
STATES = 50  # states whose pixels are held at once, a worker


def exact_log_likelihood(vae, x):
    """log p(x) of a model with discrete latents, by enumeration of all their states.

        log sum_z p(z) p(x | z)

    Parameters
    ----------
    vae : VAE
        Of bits or choices, of at most 4,096 states: 12 bits. Its encoder is not asked.
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
    require_latents("the likelihood", vae)
    likelihoods.require_density(vae.likelihood, "exact_log_likelihood")
    if not hasattr(vae.family, "n_states"):
        raise TypeError(
            f"exact_log_likelihood enumerates states, which latents of {vae.family.name!r} have not: take "
            "log_likelihood, which is by importance samples"
        )
    x = vae.check_data(x)
    z, _ = vae.latents(np.zeros((1, vae.family.n_params(vae.n_latents)), vae.dtype)).nodes()  # N, 1, K
    log_p = vae.prior.log_prob(z).astype("float64")  # N, 1

    def log_sum(start):
        pixels, total = x[start : start + POINTS].astype(vae.dtype, copy=False), -np.inf
        for first in range(0, len(z), STATES):
            some = z[first : first + STATES, 0]
            outputs, _ = vae.decoder.propagate(np.ascontiguousarray(some))  # s, D
            losses = np.empty((len(some), len(pixels)), vae.dtype)
            vae.likelihood.loss(np.repeat(outputs, len(pixels), axis=0), pixels, losses.reshape(-1), **vae.own)
            terms = log_p[first : first + STATES] - finite("the reconstruction term", losses)
            total = np.logaddexp(total, np.logaddexp.reduce(terms, axis=0))
        return total

    with team.ready():
        found = list(workers.run(log_sum, range(0, len(x), POINTS)))
    return np.concatenate(found) if found else np.empty(0)
