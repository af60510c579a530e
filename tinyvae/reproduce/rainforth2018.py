"""Tighter variational bounds: how clear the gradients of the importance-weighted bound are with K samples."""

from dataclasses import dataclass

import numpy as np

from tinyvae import estimators, variance
from tinyvae.distributions import DiagonalGaussian
from tinyvae.estimators import Draws
from tinyvae.objectives import ImportanceWeighted
from tinyvae.problems import LinearGaussian
from tinyvae.reproduce.rows import Row

__all__ = ["TITLE", "SOURCE", "MINUTES", "RECIPES", "Settings", "parts", "rows", "figure", "prior_mean", "slope"]

TITLE = "Tighter bounds, fainter gradients: the signal-to-noise ratio against the samples K in the bound"
SOURCE = (
    "Rainforth et al. 2018, theorem 1 and section 4 (phi by the reparameterization, theta); Tucker et al. 2019 (DReG)"
)
MINUTES = {"short": 2, "full": 20}
WAYS = {"phi": "reparameterization", "phi by DReG": "dreg", "theta": "prior_mean"}
PUBLISHED = {"phi": -0.5, "phi by DReG": 0.5, "theta": 0.5}
FIRST = 64  # the slopes are limits: fewer samples than these are shown, and not fitted


@dataclass(frozen=True)
class Settings:
    """A recipe.

    Attributes
    ----------
    counts : tuple of int
        K, samples in the bound.
    n_draws : int
        Gradients by which each ratio is measured.
    n_latents : int
        Of the larger model; the paper's has 20.
    offset : float
        Its q's means are off by normal numbers of this standard deviation; the paper has .01, at which the signal
        drowns in all but millions of gradients.
    """

    counts: tuple = (4, 16, 64, 256, 1024)
    n_draws: int = 2000
    n_latents: int = 20
    offset: float = 0.1


RECIPES = {
    "short": Settings(),
    "full": Settings(n_draws=20_000),
    "miniature": Settings(counts=(64, 128), n_draws=100, n_latents=2),
}


def parts(settings, seed):
    """The measurements, of a model with one latent and of one with many.

    Parameters
    ----------
    settings : Settings
    seed : int
        Of the noise, the data point and the offset.

    Returns
    -------
    dict
        {name: function(checkpoint)}; none needs the checkpoint.
    """
    rng = np.random.default_rng(seed)
    one = np.ones((1, 1)), np.ones((1, 1))  # x = 1, q's mean 1: half a unit off
    x = np.sqrt(2) * rng.standard_normal((1, settings.n_latents))
    many = x, x / 2 + settings.offset * rng.standard_normal(x.shape)
    sizes = {"one_latent": one, f"{settings.n_latents}_latents": many}
    return {name: lambda checkpoint, given=given: _measured(*given, settings, seed) for name, given in sizes.items()}


def _measured(x, mu, settings, seed):
    """{"counts", "n_latents", way: {"snr", "error" of its logarithm}}: z ~ N(m, I), x | z ~ N(z, I), q of 2/3 I."""
    n_latents = x.shape[1]
    target = LinearGaussian(np.eye(n_latents), np.zeros(n_latents), 1.0).target(x)
    q = DiagonalGaussian(mu, np.full(mu.shape, np.log(2 / 3)))
    functions = [estimators.make("reparameterization"), estimators.make("dreg"), prior_mean]
    found = {way: {"snr": [], "error": []} for way in WAYS}
    for K in settings.counts:
        reports = variance.measure_target(
            q, target, functions, ImportanceWeighted(), settings.n_draws, K, seed + K, n_timings=0
        )
        for way, name in WAYS.items():
            # Both gradients for phi have one mean, of which DReG's tells most.
            signal, error = _signal(reports["prior_mean" if way == "theta" else "dreg"])
            total, low, high = reports[name].total["mu"].variance
            found[way]["snr"].append(signal / np.sqrt(total))
            found[way]["error"].append(np.hypot(error, np.log(high / low) / (4 * 1.96)))
    return {"counts": settings.counts, "n_latents": n_latents, **found}


def _signal(report):
    """The norm of a mean gradient, and the standard error of its logarithm."""
    mean, total = report.mean["mu"], report.total["mu"].variance.value / report.n_draws
    norm = np.sqrt(max(np.sum(mean**2) - total, total))  # the squares of the mean's own errors taken away
    return norm, np.sqrt(total / mean.size) / norm


def prior_mean(q, target, eps, objective=None, rng=None):
    """The bound's gradient for m, the mean of the prior, in the place of that for q's mean.

        sum_s w_s d(-log p(z_s)) / dm = -sum_s w_s z_s     at m = 0, w the normalised weights

    Parameters
    ----------
    q, target, eps, objective, rng
        As of every estimator.

    Returns
    -------
    Draws
        So that it is measured as they are.
    """
    z = q.sample(eps)  # S, B, K
    losses = target(z) + q.log_ratio(z)  # S, B
    share = objective.weights(losses)[..., None] * -z
    return Draws(losses, len(z) * np.concatenate([share, 0 * share], axis=2))


def slope(counts, ratios, errors):
    """The slope of a ratio in K, both on logarithmic scales, by weighted least squares.

    Parameters
    ----------
    counts : sequence (n,)
        K, at least two of them.
    ratios : sequence (n,)
    errors : sequence (n,)
        Standard errors of their logarithms, independent.

    Returns
    -------
    tuple of float
        The slope, and its standard error.
    """
    x, y, weights = np.log(counts), np.log(ratios), 1 / np.square(errors)
    off = x - weights @ x / weights.sum()
    spread = weights @ off**2
    return float((weights * off) @ y / spread), float(spread**-0.5)


def rows(results):
    """The slopes.

    Parameters
    ----------
    results : dict
        {part: what it returned}.

    Returns
    -------
    list of Row
    """
    found = []
    for result in results.values():
        many = result["n_latents"]
        late = [i for i, K in enumerate(result["counts"]) if K >= FIRST]
        for way, published in PUBLISHED.items():
            taken = ([column[i] for i in late] for column in (result["counts"], *result[way].values()))
            value, error = slope(*taken)
            quantity = f"slope in K, {way}, {many} latent{'s' * (many > 1)}"
            found.append(Row(quantity, published, value, value - 1.96 * error, value + 1.96 * error))
    remark = f"the published slopes are limits for large K, DReG's the slowest to get there; ours are of K >= {FIRST}"
    return [found[0]._replace(remark=remark), *found[1:]]


def figure(results):
    """The ratios against K.

    Parameters
    ----------
    results : dict
        {part: what it returned}.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from tinyvae import plots

    panels = {
        f"{result['n_latents']} latent{'s' * (result['n_latents'] > 1)}": {way: result[way] for way in WAYS}
        for result in results.values()
    }
    counts = next(iter(results.values()))["counts"]
    return plots.ratios(counts, panels, PUBLISHED, dict(zip(WAYS, ("reparameterization", "dreg", None))))
