"""log p(x) of held-out data, by importance sampling."""

import warnings
from typing import NamedTuple

import numpy as np

from tinyvae import likelihoods, validate
from tinyvae.evaluate.bound import require_latents
from tinyvae.machine import team, workers
from tinyvae.machine.arena import one_per_thread
from tinyvae.machine.progress import passing_bar
from tinyvae.objectives import finite

__all__ = ["LogLikelihood", "log_likelihood", "mean_over_points", "standard_error", "warn_of_few"]

ROWS = 500  # decoder rows that are held at once, a worker: few enough for the cache, enough for BLAS
POINTS = 100  # data points whose encoding is held at once
FEW, SHARE = 10, 0.1  # effective samples; the share of the points that may have fewer before a warning says so


class LogLikelihood(NamedTuple):
    """log p(x) as importance samples tell it, for each data point, nats.

    Attributes
    ----------
    value : array (n,)
        log of the mean of S weights w, in expectation below log p(x) by about error^2 / 2.
    error : array (n,)
        The value's standard error, from the weights' spread: std(w) / (mean(w) sqrt(S)). NaN for a single sample.
    effective : array (n,)
        The effective sample size, (sum w)^2 / sum w^2: from 1 to S, which it is where q is the posterior.
    """

    value: np.ndarray
    error: np.ndarray
    effective: np.ndarray

    def mean(self):
        """(mean, standard error) over the data points, nats.

        The standard error is that of a mean over data points drawn at random; of a single one, that of its samples.
        """
        return mean_over_points(self.value, self.error)


def log_likelihood(vae, x, n_samples=5000, rng=None):
    """An estimate of log p(x) from importance samples z_s ~ q(z | x), with its standard error.

        log 1/S sum_s w_s,  w = p(x | z) p(z) / q(z | x)

    In expectation a lower bound, the tighter the larger S = `n_samples` (Burda et al. 2016, eq. 8): the mean of the w
    is unbiased for p(x), its logarithm is biased downwards, to first order by Var(w) / (2 S p(x)^2) = error^2 / 2. At
    most `ROWS` decoder rows a worker are held at once; each chunk of them has a random stream of its own, so that the
    result does not depend on the number of workers. The streams' common seed is drawn from `rng`, whose state therefore
    decides the result, and moves on. A decoder pass for each sample of each point.

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
    LogLikelihood
        Value, standard error and effective sample size of each point, float64; `mean()` is a data set's number.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, or a likelihood that is no density.
    NonFiniteLoss
        If a term is not finite, as in training; the message names it.

    Warns
    -----
    UserWarning
        Where more than a tenth of the points have fewer than 10 effective samples (or than S / 10, of a small S): what
        the weights say of themselves is worth nothing there.

    Notes
    -----
    value +- 1.96 error holds log p(x) in 95 of 100 cases where many samples are effective, hundreds say. It cannot tell
    what no sample has seen: of a q narrower than the posterior (of Gaussians, less than half its variance) the weights'
    variance may be infinite, and value, error and effective size all look better than they are. A q that is wider is
    safe. The interval of `mean()` holds the mean of the values that S samples give in expectation, which is too low by
    about the mean of error^2 / 2.
    """
    require_latents("the likelihood", vae, "noise")
    likelihoods.require_density(vae.likelihood, "log_likelihood")
    x = vae.check_data(x)
    n_samples = validate.integer("n_samples", n_samples, least=1)
    seed = np.random.SeedSequence(validate.generator("rng", rng).integers(2**63, size=2))
    with team.ready(), passing_bar(len(x) * n_samples, "sample") as bar:  # as in training, whatever runs beside it
        parts = [_some(vae, x[i : i + POINTS], n_samples, seed, bar) for i in range(0, len(x), POINTS)]
    value, effective = (np.concatenate(part) for part in zip(*parts))
    other = "annealed" if vae.n_states == np.inf else "exact_log_likelihood (up to 4,096 states)"
    advice = f"take more of them or tv.evaluate.{other}, or train the encoder longer"
    warn_of_few("importance samples", effective, n_samples, advice)
    return LogLikelihood(value, standard_error(effective, n_samples), effective)


def mean_over_points(values, errors):
    """The mean over data points and its standard error.

    Parameters
    ----------
    values : array (n,)
        Estimates, a data point each.
    errors : array (n,)
        Their standard errors, asked only of a single one: between points the spread shows.

    Returns
    -------
    tuple of float
        The mean, and the standard error of a mean over data points drawn at random.
    """
    n = len(values)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(n) if n > 1 else errors[0])


def standard_error(effective, n_samples):
    """Of the logarithm of a mean of weights, to first order: std(w) / (mean(w) sqrt(n)).

    Parameters
    ----------
    effective : array (n,)
        (sum w)^2 / sum w^2.
    n_samples : int
        Weights in the mean.

    Returns
    -------
    array (n,)
        NaN for a single weight.
    """
    if n_samples == 1:
        return np.full(len(effective), np.nan)
    return np.sqrt(np.maximum(n_samples / effective - 1, 0) / (n_samples - 1))


def warn_of_few(what, effective, n_samples, advice):
    """Say so if the weights of too many points are worthless.

    Parameters
    ----------
    what : str
        What is weighted.
    effective : array (n,)
        How many of them are effective.
    n_samples : int
        How many there are.
    advice : str
        What to do.

    Warns
    -----
    UserWarning
    """
    least = min(FEW, n_samples / 10)
    share = np.mean(effective < least)
    if share > SHARE:
        warnings.warn(
            f"log p(x) is worthless for {share:.0%} of the points, where fewer than {least:.3g} of {n_samples} {what} "
            f"are effective: {advice}",
            stacklevel=3,
        )


def _some(vae, x, n_samples, seed, bar):
    """Value and effective size of a few points, chunk by chunk: a largest term, and sums of w and w^2 in its unit."""
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

    largest, total, squares = np.full(len(x), -np.inf), np.zeros(len(x)), np.zeros(len(x))
    for points, log_w in workers.run(log_weights, chunks()):
        high = np.maximum(largest[points], log_w.max(axis=0))
        unit, w = np.exp(largest[points] - high), np.exp(log_w - high)
        total[points] = total[points] * unit + w.sum(axis=0)
        squares[points] = squares[points] * unit**2 + (w * w).sum(axis=0)
        largest[points] = high
        bar.update(log_w.size)
    return largest + np.log(total / n_samples), total**2 / squares
