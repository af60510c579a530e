"""Importance-weighted autoencoders: one and five samples in the bound, one stochastic layer of 50 latents."""

from dataclasses import dataclass

import numpy as np

from tinyvae import datasets, evaluate, schedules
from tinyvae.models import VAE
from tinyvae.objectives import ELBO, ImportanceWeighted
from tinyvae.optim import Adam
from tinyvae.reproduce.rows import Row
from tinyvae.reproduce.training import train
from tinyvae.training.history import say

__all__ = [
    "TITLE", "SOURCE", "MINUTES", "RECIPES", "PUBLISHED", "REPRODUCTIONS", "Settings", "parts", "rows", "figure",
    "rows_of_data", "rate", "measured_at",
]  # fmt: skip

TITLE = "Importance-weighted autoencoders on binarized digits, one and five samples"
SOURCE = "Burda, Grosse & Salakhutdinov 2016, table 3, one stochastic layer (784-200-200-50)"
MINUTES = {"short": 60, "full": 1800}
PUBLISHED = {1: 88.71, 5: 87.63}  # -log p(x) of the test rows, nats
ACTIVE = {1: 19, 5: 22}
REPRODUCTIONS = 89.78, 89.93  # others' of the first number


@dataclass(frozen=True)
class Settings:
    """A recipe.

    Attributes
    ----------
    data : str
        The name of a dataset; grey digits are binarized by the seed.
    hidden, n_latents : tuple of int, int
        Those of VAE.
    n_samples : tuple of int
        A model for each: samples in the bound.
    schedule : str
        Of the rate, "cosine", down to nothing, or "burda".
    rate : float
        Adam's at the start.
    beta1, epsilon : float
        Adam's; the paper has .9 and 1e-4, its code .99.
    batch_size, epochs : int
        Those of train.
    points : int
        How often the bound is measured along the training.
    score_samples : int
        For log p(x) at the end.
    """

    data: str = "binarized_mnist"
    hidden: tuple = (200, 200)
    n_latents: int = 50
    n_samples: tuple = (1, 5)
    schedule: str = "cosine"
    rate: float = 2e-3
    beta1: float = 0.9
    epsilon: float = 1e-4
    batch_size: int = 100
    epochs: int = 400
    points: int = 25
    score_samples: int = 5000


RECIPES = {
    "short": Settings(),
    "full": Settings(schedule="burda", rate=1e-3, batch_size=20, epochs=3280, points=40),
    "miniature": Settings(
        data="digits", hidden=(20,), n_latents=4, n_samples=(1, 2), epochs=4, points=3, score_samples=50
    ),
}


def parts(settings, seed):
    """A model for each number of samples, trained and scored.

    Parameters
    ----------
    settings : Settings
    seed : int
        Of the weights, the minibatches, the noise and the scoring.

    Returns
    -------
    dict
        {name: function(checkpoint)}.
    """
    return {
        f"{n}_sample{'s' * (n > 1)}": lambda checkpoint, n=n: _model(n, settings, seed, checkpoint)
        for n in settings.n_samples
    }


def rows_of_data(settings, seed):
    """What is trained on, and what is scored: the published validation rows, of binarized_mnist.

    Parameters
    ----------
    settings : Settings
    seed : int
        By which grey pixels are drawn as black or white.

    Returns
    -------
    tuple of array (n, D)
        uint8 of 0 and 1.
    """
    data, rng = datasets.load(settings.data), np.random.default_rng(seed)
    return tuple(x if x.dtype == np.uint8 else datasets.binarize(x, rng) for x in (data.train, data.test))


def rate(settings, n_batches):
    """Adam's rate.

    Parameters
    ----------
    settings : Settings
    n_batches : int
        Steps an epoch.

    Returns
    -------
    function
        Of the step, from 1.
    """
    if settings.schedule == "burda":
        return schedules.Burda(settings.rate, n_batches)
    return schedules.Cosine(settings.rate, settings.epochs * n_batches)


def measured_at(settings):
    """The epochs after which the bound is measured, closer together at the start.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    set of int
    """
    return set(np.geomspace(1, settings.epochs, settings.points).round().astype(int).tolist())


def _model(n_samples, settings, seed, checkpoint):
    x, valid = rows_of_data(settings, seed)
    vae = VAE(x.shape[1], settings.n_latents, settings.hidden, seed=seed)
    vae.start_at(x)
    optimizer = Adam(rate(settings, -(-len(x) // settings.batch_size)), settings.beta1, epsilon=settings.epsilon)
    wanted = measured_at(settings)

    def measure(epoch):
        if epoch not in wanted:
            return {}
        value = evaluate.log_likelihood(vae, valid, n_samples, np.random.default_rng([seed, epoch])).value
        return {"bound": -float(value.mean())}

    objective = ELBO() if n_samples == 1 else ImportanceWeighted()
    options = {"objective": objective, "n_samples": n_samples, "batch_size": settings.batch_size, "seed": seed}
    curve = train(vae, x, checkpoint, optimizer, settings.epochs, measure, **options)
    say(f"{_samples(n_samples)}: scoring {len(valid):,} rows with {settings.score_samples:,} samples each")
    score = evaluate.log_likelihood(vae, valid, settings.score_samples, np.random.default_rng(seed))
    units = evaluate.active_units(vae, valid)
    low, high = ((units.variances + side * units.errors > 0.01).sum() for side in (-1.96, 1.96))
    return {
        "data": settings.data,
        "n_samples": n_samples,
        "score_samples": settings.score_samples,
        "curve": {name: [row[name] for row in curve] for name in ("epoch", "seconds", "loss", "bound")},
        "log_likelihood": score.value.round(4),  # of each validation row
        "too_low": float(np.mean(score.error**2) / 2),
        "effective": np.quantile(score.effective, (0.05, 0.5)),
        "negative_elbo": evaluate.bound(vae, valid, n_samples=10, seed=seed).loss,
        "active_units": [units.count, int(low), int(high)],
        "variances": units.variances,
    }


def rows(results):
    """Likelihoods, what the second model gains, bounds, active units, and what the scores are worth.

    Parameters
    ----------
    results : dict
        {part: what it returned}.

    Returns
    -------
    list of Row
    """
    found, scores = [], {one["n_samples"]: -np.array(one["log_likelihood"]) for one in results.values()}
    published = _published(results)
    for n, score in scores.items():
        elsewhere = f"; elsewhere {', '.join(map(str, REPRODUCTIONS))}" if n == 1 else ""
        words = f"{published[n]}{elsewhere}" if n in published else None
        found.append(_mean(f"-log p(x), {_samples(n)}", score, words))
    remark = "the paper's are of the test rows, ours of the validation rows; the interval is that of the mean over rows"
    found[0] = found[0]._replace(remark=remark)
    (first, one), (last, many) = list(scores.items())[0], list(scores.items())[-1]
    gain = published[first] - published[last] if {first, last} <= published.keys() else None
    remark = "after as many epochs; the interval is that of the mean difference of a row"
    words = f"{_samples(last)} better than {first} by"
    found.append(_mean(words, one - many, None if gain is None else round(gain, 2))._replace(remark=remark))
    for result in results.values():
        n, (count, low, high) = result["n_samples"], result["active_units"]
        remark = "" if n != first else (
            "from the units whose own 95% interval of the variance lies above .01 to those where it reaches above"
        )  # fmt: skip
        active = ACTIVE.get(n) if n in published else None
        found.append(Row(f"active units, {_samples(n)}", active, count, low, high, "", remark))
    for result in results.values():
        n, (few, median) = result["n_samples"], result["effective"]
        remark = (
            f"5% of the rows have fewer than {few:.3g}; -log p(x) is too high by about {result['too_low']:.2g} nats"
        )
        quantity = f"median effective of {result['score_samples']} samples, {_samples(n)}"
        found.append(Row(quantity, None, round(median), remark=remark))
        found.append(Row(f"-ELBO, {_samples(n)}", None, result["negative_elbo"], unit="nats"))
    return found


def _published(results):
    """{samples: the published number}, none where other data than the publication's were taken."""
    return PUBLISHED if next(iter(results.values()))["data"] == Settings.data else {}


def _mean(quantity, values, published):
    mean, reach = values.mean(), 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return Row(quantity, published, float(mean), float(mean - reach), float(mean + reach), "nats")


def _samples(n):
    return "1 sample" if n == 1 else f"{n} samples"


def figure(results):
    """The bounds along the training, and the likelihoods at its end beside the published ones.

    Parameters
    ----------
    results : dict
        {part: what it returned}.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from tinyvae import plots

    curves = {_samples(one["n_samples"]): one["curve"] for one in results.values()}
    found = {_samples(one["n_samples"]): one["log_likelihood"] for one in results.values()}
    published = {_samples(n): value for n, value in _published(results).items()}
    return plots.likelihoods(curves, found, published, {_samples(1): REPRODUCTIONS} if published else {})
