"""How far q(z | x) is from the posterior: q refined for its data point alone, and what that tells of the gap."""

from typing import NamedTuple

import numpy as np

from tinyvae import estimators, likelihoods, validate
from tinyvae.estimators.contract import ask
from tinyvae.evaluate.bound import require_latents
from tinyvae.machine import team, workers
from tinyvae.objectives import ELBO, finite
from tinyvae.optim import Adam

__all__ = ["Gaps", "gaps", "refine"]

POINTS = 50  # data points that are refined side by side in one chunk
ROWS = 500  # decoder rows that are held at once, a worker


class Gaps(NamedTuple):
    """What a data point's bound lacks to log p(x), in two parts, nats.

    Attributes
    ----------
    amortization : array (n,)
        L[q*] - L[q]: what is lost since one encoder serves all data points. q* is the refined q.
    approximation : array (n,)
        log p(x) - L[q*] = KL(q* || p(z | x)): what is lost since the posterior is not of q's family.
    amortization_error, approximation_error : array (n,)
        The standard error of each, from the samples' spread.
    """

    amortization: np.ndarray
    approximation: np.ndarray
    amortization_error: np.ndarray
    approximation_error: np.ndarray

    def means(self):
        """{"amortization": (mean, standard error), "approximation": ...} over the data points, nats.

        The standard error is that of a mean over data points drawn at random; of a single one, that of its samples.
        """
        parts = {"amortization": self.amortization_error, "approximation": self.approximation_error}
        found = {}
        for name, error in parts.items():
            values = getattr(self, name)
            spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else error[0]
            found[name] = float(values.mean()), float(spread)
        return found


def refine(vae, x, rng, n_steps=500, n_samples=8, rate=0.05, estimator=None):
    """q(z | x) improved for each data point by itself: gradient steps on its bound, from the encoder's q.

    Adam's steps on q's parameters, the model held; the step size falls to 0 in a straight line.

    Parameters
    ----------
    vae : VAE
        The model, which is not changed.
    x : array (n, D)
        The data.
    rng : numpy.random.Generator
        Its state decides the result, whatever the number of workers, and moves on.
    n_steps : int
        Steps.
    n_samples : int
        Samples a data point in each step.
    rate : float
        The first step size, in units of q's parameters.
    estimator : str or callable, optional
        Of the gradient. None takes "path_derivative", which grows exact as q comes near the posterior (Roeder et al.
        2017); where q has no `path`, as of bits, "disarm".

    Returns
    -------
    DiagonalGaussian or another distribution
        One for each of the n data points, as `vae.encode` returns it.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit.
    NonFiniteLoss
        If a term or its slope is not finite.

    Notes
    -----
    Source: Hjelm et al. 2016; Cremer, Li & Duvenaud 2018, section 3.
    """
    require_latents("refine", vae)
    x = _checked(vae, x)
    n_steps = validate.integer("n_steps", n_steps, least=1)
    n_samples = validate.integer("n_samples", n_samples, least=1)
    rate = validate.number("rate", rate, least=0, open_least=True)
    if estimator is None:
        estimator = "path_derivative" if hasattr(vae.encode(x[:1]), "path") else "disarm"
    estimator = estimators.resolve(estimator)
    seed = np.random.SeedSequence(validate.generator("rng", rng).integers(2**63, size=2))
    objective = ELBO(kl="monte_carlo")  # the whole loss is the estimator's

    def chunks():
        for start in range(0, len(x), POINTS):
            yield x[start : start + POINTS], np.random.default_rng(seed.spawn(1)[0])

    def refined(chunk):
        some, stream = chunk
        params, target, optimizer = vae.encode(some).params.copy(), vae.target(some), Adam(rate)
        for step in range(n_steps):
            q = vae.latents(params)
            draws = ask(estimator, q, target, q.noise(stream, n_samples), objective, stream)
            slope = finite("the gradient of q's parameters", draws.dparams.mean(axis=0))  # B, P
            optimizer.rate = rate * (1 - step / n_steps)
            optimizer.step(params.reshape(-1), slope.reshape(-1))
        return params

    with team.ready():
        return vae.latents(np.concatenate(list(workers.run(refined, chunks()))))


def gaps(vae, x, n_samples=5000, rng=None, refined=None):
    """The amortization gap and the approximation gap of each data point.

        log p(x) - L[q] = (L[q*] - L[q]) + (log p(x) - L[q*]),  L[q] = E_q[log w],  w = p(x, z) / q(z)

    L[q] and L[q*] are means over samples at the same noise. log p(x) comes from importance samples, half of them from
    q* and half from the prior: of a mixture with the prior no weight is above 2 p(x | z), while the best q* of a family
    is often too narrow for weights of a finite variance. It is a little low where few weights are large (Burda et al.
    2016), and the approximation gap with it.

    Parameters
    ----------
    vae : VAE
        The model.
    x : array (n, D)
        The data.
    n_samples : int
        Samples a data point of each: of q and q*, and of the prior; at least 2.
    rng : numpy.random.Generator
        As in `refine`.
    refined : DiagonalGaussian or another distribution, optional
        q*, one for each data point; `refine(vae, x, rng)` if not given.

    Returns
    -------
    Gaps
        With standard errors; `means()` of it are the numbers of a data set.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, or a likelihood that is no density, such as "squared_error".
    NonFiniteLoss
        If a term is not finite.

    Notes
    -----
    Source: Cremer, Li & Duvenaud 2018, section 3; the mixture with the prior: Hesterberg 1995.
    """
    require_latents("gaps", vae)
    likelihoods.require_density(vae.likelihood, "gaps")
    x, n_samples = _checked(vae, x), validate.integer("n_samples", n_samples, least=2)
    validate.generator("rng", rng)
    refined = refine(vae, x, rng) if refined is None else refined
    encoded = vae.encode(x)
    validate.array("refined.params", refined.params, encoded.params.shape, vae.dtype)
    seed = np.random.SeedSequence(rng.integers(2**63, size=2))
    n_points = max(1, ROWS // n_samples)

    def chunks():
        for start in range(0, len(x), n_points):
            yield slice(start, start + n_points), np.random.default_rng(seed.spawn(1)[0])

    def log_weights(chunk):
        points, stream = chunk
        target, pieces = vae.target(x[points]), []
        q, best = (one.like(one.params[points]) for one in (encoded, refined))
        for start in range(0, n_samples, ROWS):
            n = min(ROWS, n_samples - start)
            eps, shape = q.noise(stream, n), (n, len(q.params), vae.code_size)
            free = vae.prior.sample(stream, n * shape[1], vae.n_latents, vae.dtype).reshape(shape)
            pieces.append(
                [_log_terms(one, target, z) for one, z in ((q, q.sample(eps)), (best, best.sample(eps)), (best, free))]
            )
        return [np.concatenate(found) for found in zip(*pieces)]

    with team.ready():
        columns = [_parts(*found) for found in workers.run(log_weights, chunks())]
    return Gaps(*(np.concatenate(column) for column in zip(*columns)))


def _log_terms(q, target, z):
    """log p(x | z) and log q(z) - log p(z), nats: z (s, p, K) -> (s, p, 2) float64."""
    terms = np.stack([-target(z), q.log_ratio(z)], axis=2).astype("float64")
    return finite("the log weight", terms)


def _parts(encoded, refined, free):
    """The gaps and their standard errors from terms (S, p, 2) of samples of q, of q* and of the prior, as in Gaps."""
    encoded, log_w = (terms[..., 0] - terms[..., 1] for terms in (encoded, refined))  # S, p
    # p(x, z) / r(z), with r = (q* + p) / 2.
    both = np.stack([terms[..., 0] + np.log(2) - np.logaddexp(terms[..., 1], 0) for terms in (refined, free)])
    highest = both.max(axis=(0, 1))  # p
    weights = np.exp(both - highest)
    mean, gain, bound = weights.mean(axis=(0, 1)), log_w - encoded, log_w.mean(axis=0)
    weights /= 2 * mean
    # What one sample adds, of each kind, to first order.
    each = np.stack([weights[0] - (log_w - bound), weights[1]]).var(axis=1, ddof=1).sum(axis=0)  # p
    root = np.sqrt(len(log_w))
    lacking = np.log(mean) + highest - bound
    return gain.mean(axis=0), lacking, gain.std(axis=0, ddof=1) / root, np.sqrt(each) / root


def _checked(vae, x):
    """The data as `vae.target` takes them."""
    x = vae.check_data(x)
    return x.astype(vae.dtype, copy=False) if x.dtype.kind == "f" else x
