"""The bound against the training samples seen, for several latent sizes: do latents that are not needed over-fit?"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from tinyvae import datasets
from tinyvae.likelihoods import Gaussian
from tinyvae.machine import team
from tinyvae.models import VAE
from tinyvae.optim import Adam
from tinyvae.reproduce.rows import Row, half_width
from tinyvae.reproduce.training import train

__all__ = [
    "TITLE", "SOURCE", "MINUTES", "RECIPES", "Settings", "Split", "MapAdam", "parts", "rows", "figure", "digits",
    "faces", "image_bounds", "mean_and_error",
]  # fmt: skip

TITLE = "The bound on train and held-out images, against samples seen"
SOURCE = "Kingma & Welling 2014, section 5 and figure 2 (the curves of AEVB)"
MINUTES = {"short": 18, "full": 75, "miniature": 1}
READ_OFF = {("digits", 20): (-102.0, -98.0)}  # about -100 at the figure's right edge, 1e8 samples
HIGHER = {("digits", 3, 5), ("digits", 5, 10), ("digits", 10, 20), ("faces", 2, 5), ("faces", 5, 10)}  # from memory
PASSES = 10  # over the faces in what is called an epoch, after which a checkpoint is written
RUN = {"digits": (1, 1), "faces": (14, 28)}  # a tenth of the frames, all: so many in a row are alike, and count as one


@dataclass(frozen=True)
class Settings:
    """A recipe. What is a pair is of the digits, then of the faces.

    Attributes
    ----------
    data : pair of str
        Datasets' names.
    latents : pair of tuples of int
        The latent sizes, a model each.
    seen : pair of int
        Training samples seen, in whole epochs.
    hidden : pair of int
        Units of the one hidden layer.
    batch_size : int
        M; L = 1 sample a point.
    rate : float
        Adam's.
    points : int
        At about so many epochs, evenly spaced in their logarithm, the bounds are measured.
    rows : int
        At most so many training images stand for all where the bound on train is measured.
    n_samples : int
        Samples a point in the bounds of the trained models.
    """

    data: tuple = ("binarized_mnist", "frey_faces")
    latents: tuple = ((3, 5, 10, 20, 200), (2, 5, 10, 20))
    seen: tuple = (2_000_000, 2_000_000)
    hidden: tuple = (500, 200)
    batch_size: int = 100
    rate: float = 1e-3
    points: int = 25
    rows: int = 10_000
    n_samples: int = 16


RECIPES = {
    "short": Settings(),
    "full": Settings(seen=(10_000_000, 10_000_000)),
    "miniature": Settings(
        ("digits", "digits"), ((2, 5), (1, 2)), (6000, 23_400), (16, 16), points=4, rows=500, n_samples=4
    ),
}


@dataclass(frozen=True)
class Split:
    """The images of one of the two experiments.

    Attributes
    ----------
    train : array (n, D)
        Trained on, an epoch.
    held_out : dict
        {name: array (n, D)}; the first is that of the curves.
    likelihood : str or a likelihood
        Of the decoder.
    """

    train: np.ndarray
    held_out: dict
    likelihood: object


def digits(name):
    """Black and white digits; grey ones are drawn black or white once.

    Parameters
    ----------
    name : str
        Of a dataset.

    Returns
    -------
    Split
    """
    data, rng = datasets.load(name), np.random.default_rng(0)
    bits = (x if x.dtype == np.uint8 else datasets.binarize(x, rng) for x in (data.train, data.test))
    train, test = bits
    return Split(train, {"held out": test}, "bernoulli")


def faces(name):
    """Frames of a film, of which two parts are held out: a random tenth of all but the end, and the end.

    A frame of the random tenth, as papers take it, stands between two that are trained on and are nearly equal to it.
    The last tenth of the film shows what generalizing is.

    Parameters
    ----------
    name : str
        Of a dataset.

    Returns
    -------
    Split
        Its training frames stand PASSES times in `train`.
    """
    data = datasets.load(name)
    order = np.random.default_rng(0).permutation(len(data.train))
    n = len(order) // 10
    between, rest = np.sort(order[:n]), np.sort(order[n:])
    held_out = {"held out": data.train[between], "end of the film": data.test}
    return Split(np.tile(data.train[rest], (PASSES, 1)), held_out, Gaussian("per_pixel", "sigmoid"))


SPLITS = {"digits": digits, "faces": faces}


class MapAdam(Adam):
    """Adam on the loss a data point less log N(theta; 0, I) / n: the paper's small weight decay.

    Parameters
    ----------
    rate : float
        Adam's.
    n : int
        Different training images.
    """

    def __init__(self, rate, n):
        super().__init__(rate)
        self.n, self._sum = n, None

    def __repr__(self):
        return f"MapAdam(rate={self.rate}, n={self.n})"

    def step(self, theta, grad):
        """Update theta (P,) in place, along grad (P,) + theta / n."""
        self._sum = np.empty_like(theta) if self._sum is None else self._sum
        np.multiply(theta, theta.dtype.type(1 / self.n), out=self._sum)
        super().step(theta, np.add(grad, self._sum, out=self._sum))


def image_bounds(vae, x, n_samples, rng, batch_size=500):
    """The ELBO of each image, its KL in closed form.

    Parameters
    ----------
    vae : VAE
    x : array (n, D)
    n_samples : int
        Samples an image.
    rng : numpy.random.Generator
    batch_size : int
        Images that are held at once.

    Returns
    -------
    array (n,)
        Nats, float64.
    """
    found = []
    with team.ready():
        for start in range(0, len(x), batch_size):
            piece = x[start : start + batch_size].astype(vae.dtype)
            q, target = vae.encode(piece), vae.target(piece)
            losses = [target(q.sample(q.noise(rng, 1)))[0].astype("float64") for _ in range(n_samples)]
            found.append(-np.mean(losses, axis=0) - q.kl())
    return np.concatenate(found)


def mean_and_error(values, run=1):
    """The mean over images, its standard error, and of how many numbers this is.

    Parameters
    ----------
    values : array (n,)
        Of each image, in the film's order.
    run : int
        So many in a row are averaged first: of images like their neighbours, the spread of single ones says too little.

    Returns
    -------
    tuple
    """
    values = np.asarray(values)
    run = min(run, len(values) // 2)
    means = values[: len(values) // run * run].reshape(-1, run).mean(axis=1)
    return float(values.mean()), float(means.std(ddof=1) / math.sqrt(len(means))), len(means)


def parts(settings, seed):
    """A part for each model.

    Parameters
    ----------
    settings : Settings
    seed : int
        Of weights, minibatches and noise.

    Returns
    -------
    dict
        {"digits_3": function(checkpoint) -> dict, ...}.
    """
    return {
        f"{which}_{n_latents}": functools.partial(_trained, settings, seed, place, n_latents)
        for place, which in enumerate(SPLITS)
        for n_latents in settings.latents[place]
    }


def _trained(settings, seed, place, n_latents, checkpoint):
    """One model's curves, and its bounds at the end."""
    which = list(SPLITS)[place]
    split = SPLITS[which](settings.data[place])
    n_different = len(split.train) // (PASSES if which == "faces" else 1)
    some = split.train[:n_different][: settings.rows]
    vae = VAE(split.train.shape[1], n_latents, (settings.hidden[place],), likelihood=split.likelihood, seed=seed)
    epochs = max(1, round(settings.seen[place] / len(split.train)))
    measured = {*np.unique(np.geomspace(1, epochs, settings.points).round().astype(int)).tolist()}
    shown = {"train": some, **split.held_out}

    def measure(epoch):
        if epoch not in measured:
            return {}
        rng = np.random.default_rng(seed)
        return {name: float(image_bounds(vae, x, 1, rng).mean()) for name, x in shown.items()}

    options = {"epochs": epochs, "batch_size": settings.batch_size, "seed": seed}
    curve = train(vae, split.train, checkpoint, MapAdam(settings.rate, n_different), measure=measure, **options)
    rng, n = np.random.default_rng([seed, n_latents]), settings.n_samples
    images = {name: image_bounds(vae, x, n, rng) for name, x in split.held_out.items()}
    return {
        "seen": [row["epoch"] * len(split.train) for row in curve],
        "curves": {name: [row[name] for row in curve] for name in shown},
        "end_of_train": mean_and_error(image_bounds(vae, some, n, rng), RUN[which][1]),
        "images": images.pop("held out").round(3).tolist(),  # those of two sizes are compared image by image
        "elsewhere": {name: mean_and_error(values, RUN[which][1]) for name, values in images.items()},
        "active": int((vae.encode(split.held_out["held out"]).mean.var(axis=0) > 0.01).sum()),
    }


def _sizes(results, which):
    """{latents: its part's dict} of the digits or the faces, the smallest first."""
    found = {int(part.split("_")[1]): one for part, one in results.items() if part.startswith(which)}
    return dict(sorted(found.items()))


def rows(results):
    """The bounds at the end, and the sizes compared image by image.

    Parameters
    ----------
    results : dict
        {part: its dict}.

    Returns
    -------
    list of Row
    """
    found = []

    def row(quantity, published, value, *errors, remark=""):
        reach = half_width(*errors)
        found.append(Row(quantity, published, value, value - reach, value + reach, "nats", remark))

    for which in SPLITS:
        sizes, run = _sizes(results, which), RUN[which][0]
        for n_latents, one in sizes.items():
            read_off = READ_OFF.get((which, n_latents))
            remark = "about -100 is read off the figure at 1e8 samples, test images" if read_off else ""
            value, *error = mean_and_error(one["images"], run)
            if n_latents == min(sizes):
                remark = _REMARKS[which].format(seen=one["seen"][-1])
            row(f"{which}, {n_latents} latents: held-out", read_off, value, error, remark=remark)
        for smaller, larger in zip(sizes, list(sizes)[1:]):
            difference = np.subtract(sizes[larger]["images"], sizes[smaller]["images"])
            published = "above 0" if (which, smaller, larger) in HIGHER else None
            remark = "the order in the figure, from memory; of these two trained models, image by image"
            remark, (value, *error) = remark if smaller == min(sizes) else "", mean_and_error(difference, run)
            row(f"{which}, {larger} less {smaller} latents", published, value, error, remark=remark)
        for n_latents in list(sizes)[-2:]:
            inside, *error = sizes[n_latents]["end_of_train"]
            outside, *other = mean_and_error(sizes[n_latents]["images"], run)
            published = "no over-fitting" if n_latents == max(sizes) else None
            row(f"{which}, {n_latents} latents: train less held-out", published, inside - outside, error, other)
        remark = "latents whose mean has a variance above .01 over the held-out images"
        active = float(sizes[max(sizes)]["active"])
        found.append(Row(f"{which}, {max(sizes)} latents: active", None, active, remark=remark))
        for n_latents, one in sizes.items():
            for name, (value, *error) in one["elsewhere"].items():
                row(f"{which}, {n_latents} latents: {name}", None, value, error)
    return found


_REMARKS = {
    "digits": "after {seen:.2g} samples, on the published validation rows (the paper's are test images, and it does "
    "not say how they became black or white); Adam in place of Adagrad, Glorot's initial weights in place of N(0, .01)",
    "faces": "after {seen:.2g} samples; a random tenth of the film is held out, each frame between two that are "
    "trained on; density of pixels in [0, 1]; the paper does not say what it held out. The intervals are of runs of "
    "14 frames, or of 28 that follow one another, as neighbours are alike. The end of the film, further down, was held "
    "out, too",
}


def figure(results):
    """The paper's figure 2: a panel a latent size.

    Parameters
    ----------
    results : dict
        {part: its dict}.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from tinyvae.plots import samples_seen

    titles = {"digits": "black and white digits", "faces": "Frey faces"}
    return samples_seen({
        titles[which]: {
            f"{n_latents} latents": {name: (one["seen"], values) for name, values in one["curves"].items()}
            for n_latents, one in _sizes(results, which).items()
        }
        for which in SPLITS
    })  # fmt: skip
