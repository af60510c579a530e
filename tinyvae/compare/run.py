"""The main job: train one VAE with each estimator, side by side, and measure their gradients along the way.

Everything but the estimator is shared: the data, the initialisation, the minibatches, the noise. All
estimators take a step in turn, so that a busy machine slows them alike.
"""

from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from tinyvae import datasets, distributions, evaluate, likelihoods, validate, variance
from tinyvae.compare.settings import OBJECTIVES, Settings
from tinyvae.compare.words import brief, verdict
from tinyvae.models import VAE, NonFiniteLoss
from tinyvae.objectives import ELBO, ImportanceWeighted
from tinyvae.optim import Adam
from tinyvae.training import train

__all__ = ["Comparison", "run", "objective_of", "binarized", "without_decoder"]

BOUND_SAMPLES = 10  # a test digit, for the curve's points
FINAL_SAMPLES = 200  # a test digit, for the table
SHOWN = 10  # test images in the figure


class Comparison(NamedTuple):
    """What `run` returns. Intervals are (value, low, high), of 95%.

    Attributes
    ----------
    settings : Settings
        What was asked for.
    data : Dataset
        The data, binarized if the likelihood is of black and white pixels.
    models : dict
        {estimator: trained VAE}.
    curves : dict
        {estimator: {"step", "seconds", "elbo", "reconstruction", "kl": lists, an entry an epoch and the start}}.
    points : list of dict
        [{"epoch", "step", "estimators": {estimator: what `variance.plain` gives}}], at the same parameters for all
        estimators, those of the first estimator's run.
    table : dict
        {estimator: row}, the numbers at the end.
    words : dict
        {"variance", "bound", "cost"}: what the numbers say; empty for a single estimator.
    """

    settings: Settings
    data: datasets.Dataset
    models: dict
    curves: dict
    points: list
    table: dict
    words: dict

    def record(self):
        """Every number and the settings, of types that JSON knows.

        Names with seconds, milliseconds or cost are timings.
        """
        vae, one = self.models[self.settings.estimators[0]], self.settings.one
        likelihood = vae.likelihood
        grey = f"{self.settings.data}, grey: the bound is that of {likelihood.name!r}, not comparable with others"
        bits = f"{self.settings.data}, each pixel drawn once as black or white with seed {self.settings.seed}"
        notes = {
            "data": f"{bits}: the bound is on a discrete likelihood" if likelihoods.takes_bits(likelihood) else grey,
            "elbo": f"nats a test {one}, higher is better, {FINAL_SAMPLES} samples a {one} in the table, "
            f"{BOUND_SAMPLES} in the curves",
            "variance": f"of the gradient of the loss (nats a {one}), summed over the block's coordinates; "
            "[value, low, high], 95% interval",
            "points": f"measured at the parameters of the run with {self.settings.estimators[0]}, "
            f"on its first {self.settings.batch_size} training {one}s",
        }
        return {
            "settings": asdict(self.settings)
            | {
                "likelihood": likelihoods.config_of(likelihood),
                "latents": distributions.config_of(vae.family),
                "prior": vae.prior.name,
            },
            "notes": notes,
            **{name: getattr(self, name) for name in ("table", "words", "points", "curves")},
        }

    def figure(self):
        """The arguments of `plots.compare`."""
        first = self.settings.estimators[0]
        labels = self.data.test_labels
        vae = self.models[first]
        shown = self.data.test[: SHOWN if labels is None else None]
        shown = shown if labels is None else shown[np.unique(labels, return_index=True)[1][:SHOWN]]
        totals = {
            name: [point["estimators"][name]["encoder"]["variance"] for point in self.points] for name in self.models
        }
        readable = first.replace("_", " ")
        return {
            "curves": {
                "variance": {
                    "steps": [point["step"] for point in self.points],
                    "variances": totals,
                    "biased": [name for name, row in self.table.items() if row.get("biased")],
                },
                **{
                    key: {name: curve[key] for name, curve in self.curves.items()}
                    for key in ("step", "seconds", "elbo")
                },
            },
            "pictures": {
                "reconstructions": {
                    "originals": shown,
                    "models": {name: model.reconstruct(shown) for name, model in self.models.items()},
                    "image_shape": self.data.image_shape,
                },
                "samples": {
                    "images": vae.sample(80, np.random.default_rng(self.settings.seed)),
                    "image_shape": self.data.image_shape,
                    "title": f"Samples ({readable})",
                },
                "latents": {
                    "mu": vae.encode(self.data.test).mean,
                    "labels": self.data.test_labels,
                    "title": f"Latent space ({readable})",
                    "n_ways": vae.code_size // vae.n_latents,
                },
            },
        }


def without_decoder(vae):
    """The blocks of a VAE's gradient that depend on the estimator.

    Parameters
    ----------
    vae : VAE
        The model.

    Returns
    -------
    tuple of str
        All that `variance.block_names` names but "decoder".
    """
    return tuple(block for block in variance.block_names(vae) if block != "decoder")


def objective_of(name, beta=1.0, kl="analytic"):
    """The objective of a name.

    Parameters
    ----------
    name : str
        One of OBJECTIVES.
    beta, kl : float, str
        Those of ELBO.

    Returns
    -------
    ELBO or ImportanceWeighted
        The objective.

    Raises
    ------
    ValueError
        For another name, for a beta beside the importance-weighted bound, or for what ELBO refuses.
    """
    if validate.choice("objective", name, OBJECTIVES) == "elbo":
        return ELBO(beta, kl)
    if beta != 1:
        raise ValueError(
            f"the importance-weighted bound has no beta, got {beta}: leave it at 1, or take the objective 'elbo'"
        )
    return ImportanceWeighted()


def binarized(data, seed):
    """`data` with each pixel of train, then test, drawn once as black or white.

    Parameters
    ----------
    data : Dataset
        Grey values in [0, 1].
    seed : int
        Of the draws.

    Returns
    -------
    Dataset
        The same, binarized.
    """
    rng = np.random.default_rng(seed)
    return data._replace(train=datasets.binarize(data.train, rng), test=datasets.binarize(data.test, rng))


def run(settings=Settings(), progress=lambda epoch, line: None):
    """Train and measure.

    Parameters
    ----------
    settings : Settings
        What to do.
    progress : callable
        progress(epoch, line) is called at the start (epoch 0) and after each epoch, with a line to show where something
        was measured, else an empty one.

    Returns
    -------
    Comparison
        The models and what was measured.

    Raises
    ------
    ValueError or TypeError
        For settings that do not fit, before anything is trained.
    NonFiniteLoss
        If a run diverges, naming the estimator and the step.
    """
    names = list(settings.estimators)
    objective = objective_of(settings.objective, settings.beta, settings.kl)
    epochs = validate.integer("epochs", settings.epochs, least=1)
    measured_at = set(
        np.linspace(0, epochs, validate.integer("points", settings.points, least=2)).round().astype(int).tolist()
    )
    likelihood = likelihoods.resolve(settings.likelihood)
    likelihoods.require_density(likelihood, "compare")
    data = datasets.find(settings.data)
    data = binarized(data, settings.seed) if likelihoods.takes_bits(likelihood) else data
    batch = data.train[: validate.integer("batch_size", settings.batch_size, least=1)]

    def model():
        sizes = data.train.shape[1], settings.n_latents, settings.hidden
        kinds = {"latents": settings.latents, "prior": settings.prior}
        return VAE(*sizes, likelihood=likelihood, seed=settings.seed, **kinds)

    def steps(vae, name):
        options = {
            "n_samples": settings.n_samples,
            "batch_size": settings.batch_size,
            "epochs": epochs,
            "seed": settings.seed,
            "noise": settings.noise,
        }
        return train(vae, data.train, name, objective, Adam(settings.rate), **options)

    def measure(vae):
        sizes = settings.n_draws, settings.n_samples, settings.seed
        blocks = without_decoder(vae)
        return variance.measure(vae, batch, names, objective, *sizes, noise=settings.noise, blocks=blocks)

    measure(model())  # refuses what does not fit; with the steps below, compiles what the clock should not see
    for name in names:
        next(steps(model(), name))

    models = {name: model() for name in names}
    runs = {name: steps(models[name], name) for name in names}
    curves = {name: {"step": [], "seconds": [], "elbo": [], "reconstruction": [], "kl": []} for name in names}
    durations, points = {name: [] for name in names}, []
    n_batches, seconds = -(-len(data.train) // settings.batch_size), dict.fromkeys(names, 0.0)
    for epoch in range(epochs + 1):
        for _ in range(n_batches if epoch else 0):
            for name in names:
                spent = _next(runs[name], name).seconds
                durations[name].append(spent - seconds[name])
                seconds[name] = spent
        for name in names:
            bound = evaluate.bound(models[name], data.test, BOUND_SAMPLES, settings.seed)
            values = (epoch * n_batches, seconds[name], -bound.loss, bound.reconstruction, bound.kl)
            for key, value in zip(curves[name], values):
                curves[name][key].append(value)
        line = ""
        if epoch in measured_at:
            points.append(
                {"epoch": epoch, "step": epoch * n_batches, "estimators": variance.plain(measure(models[names[0]]))}
            )
            line = ", ".join(
                f"{name} {brief(m['encoder']['variance'][0])}" for name, m in points[-1]["estimators"].items()
            )
        progress(epoch, line)

    table = {}
    for name in names:
        bound = evaluate.bound(models[name], data.test, FINAL_SAMPLES, settings.seed)
        last = points[-1]["estimators"][name]
        milliseconds = 1e3 * float(np.median(durations[name]))
        table[name] = {
            "elbo": -bound.loss,
            "reconstruction": bound.reconstruction,
            "kl": bound.kl,
            **last["encoder"],
            **({"biased": True} if last.get("biased") else {}),
            "step_milliseconds": milliseconds,
            "variance_times_step_cost": [milliseconds * v for v in last["encoder"]["variance"]],
        }
    return Comparison(settings, data, models, curves, points, table, verdict(table, points, settings))


def _next(steps, name):
    try:
        return next(steps)
    except NonFiniteLoss as error:
        raise NonFiniteLoss(f"{name}: {error}") from None
