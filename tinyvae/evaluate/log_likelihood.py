"""log p(x) of held-out data, by importance sampling."""

import numpy as np

from tinyvae import likelihoods, validate
from tinyvae.evaluate.bound import require_latents
from tinyvae.machine import team, workers
from tinyvae.machine.arena import one_per_thread
from tinyvae.objectives import finite

__all__ = ["log_likelihood"]

ROWS = 500  # decoder rows that are held at once, a worker: few enough for the cache, enough for BLAS
POINTS = 100  # data points whose encoding is held at once


def log_likelihood(vae, x, n_samples=5000, rng=None):
    """An estimate of log p(x) from importance samples z_s ~ q(z | x).

        log 1/S sum_s p(x | z_s) p(z_s) / q(z_s | x)

    In expectation a lower bound, the tighter the larger S = `n_samples` (Burda et al. 2016, eq. 8). At most `ROWS`
    decoder rows a worker are held at once; each chunk of them has a random stream of its own, so that the result does
    not depend on the number of workers. The streams' common seed is drawn from `rng`, whose state therefore decides
    the result, and moves on.

    Parameters
    ----------
    vae : VAE or TwoLayerVAE
        The model.
    x : array (n, D)
        The data.
    n_samples : int
        S, at least 1.
    rng : numpy Generator
        Of the samples.

    Returns
    -------
    array (n,)
        Nats, float64.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, or a likelihood that is no density.
    NonFiniteLoss
        If a term is not finite, as in training; the message names it.
    """
    require_latents("the likelihood", vae, "noise")
    likelihoods.require_density(vae.likelihood, "log_likelihood")
    x = vae.check_data(x)
    n_samples = validate.integer("n_samples", n_samples, least=1)
    seed = np.random.SeedSequence(validate.generator("rng", rng).integers(2**63, size=2))
    with team.ready():  # as in training, whatever runs beside it
        return np.concatenate([_some(vae, x[i : i + POINTS], n_samples, seed) for i in range(0, len(x), POINTS)])


def _some(vae, x, n_samples, seed):
    """The same for a few points, chunk by chunk: log sum exp is carried along as a largest term and a sum."""
    q = vae.encode(x)
    finite("the KL term", float(q.kl().sum()))
    pixels = x.astype(vae.dtype, copy=False)  # n, D
    n_points, arena = max(1, ROWS // n_samples), one_per_thread()

    def chunks():
        for i in range(0, len(x), n_points):
            for s in range(0, n_samples, ROWS):
                yield slice(i, i + n_points), min(ROWS, n_samples - s), np.random.default_rng(seed.spawn(1)[0])

    def log_weights(chunk):
        points, n, stream = chunk
        some, empty = q.like(q.params[points]), arena()
        z = some.sample(some.noise(stream, n))  # s, p, K
        outputs, _ = vae.decoder.using(empty).propagate(z[..., : vae.code_size].reshape(-1, vae.code_size))  # s * p, D
        losses = empty(z.shape[:2], vae.dtype)  # s, p
        vae.likelihood.loss(outputs, pixels[points], losses.reshape(-1), **vae.own)
        finite("the reconstruction term", losses)
        return points, (-losses - some.log_ratio(z)).astype("float64")  # s, p

    largest, total = np.full(len(x), -np.inf), np.zeros(len(x))
    for points, log_w in workers.run(log_weights, chunks()):
        high = np.maximum(largest[points], log_w.max(axis=0))
        total[points] = total[points] * np.exp(largest[points] - high) + np.exp(log_w - high).sum(axis=0)
        largest[points] = high
    return largest + np.log(total / n_samples)
