"""Fixing a broken ELBO: where models over beta lie on the plane of rate and distortion, and what limits them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyvae import compare, datasets
from tinyvae.compare.family import FIRST
from tinyvae.models import VAE, Autoencoder
from tinyvae.optim import Adam
from tinyvae.reproduce.rows import Row, least
from tinyvae.schedules import Cosine
from tinyvae.training import train

__all__ = ["TITLE", "SOURCE", "MINUTES", "RECIPES", "Settings", "parts", "rows", "figure", "population"]

TITLE = "Fixing a broken ELBO: the curve of rate and distortion, and its two limits"
SOURCE = "Alemi et al. 2018, section 2 and figure 1: limits and slopes of the theory"
MINUTES = {"short": 4, "full": 40}
WIDE = 1.96  # standard errors to each side of a 95% interval
USED = 0.02  # nats of rate, from which on a model has a code


@dataclass(frozen=True)
class Settings:
    """A recipe.

    Attributes
    ----------
    n_images : int
        Different images of shapes, each as probable as the others: all the data that there are, so that H is log n.
    n_pixels : int
        On each side of these.
    shape_betas, digit_betas : tuple of float
        A model each.
    shape_epochs, digit_epochs : int
        Passes over the data, a model.
    hidden, n_latents : tuple of int, int
        Of every model.
    batch_size, rate : int, float
        Data points a step; Adam's first step size.
    n_rows : int
        Data points of each kind, at most, that the numbers are measured on.
    data : str
        Beside the shapes, binarized by the seed.
    """

    n_images: int = 256
    n_pixels: int = 8
    shape_betas: tuple = (0.01, 0.03, 0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
    digit_betas: tuple = compare.BETAS
    shape_epochs: int = 500
    digit_epochs: int = 60
    hidden: tuple = (128,)
    n_latents: int = 8
    batch_size: int = 64
    rate: float = 3e-3
    n_rows: int = 2000
    data: str = "digits"


RECIPES = {
    "short": Settings(),
    "full": Settings(shape_epochs=5000, digit_epochs=120),
    "miniature": Settings(
        n_images=16, n_pixels=4, shape_betas=(0.1, 1.0, 20.0), digit_betas=(0.5, 20.0), shape_epochs=20, digit_epochs=1,
        hidden=(8,), n_latents=2, batch_size=200, n_rows=50,
    ),
}  # fmt: skip


def population(n, n_pixels, rng):
    """n different images of shapes in black and white: a world of so many images, each as probable as the others.

    Parameters
    ----------
    n : int
    n_pixels : int
        On each side.
    rng : numpy.random.Generator

    Returns
    -------
    array (n, n_pixels ** 2)
        uint8 holding 0 and 1; no two rows are equal.

    Raises
    ------
    ValueError
        Where so many different ones are not found.
    """
    found = np.empty((0, n_pixels**2), "uint8")
    for _ in range(100):
        drawn = datasets.binarize(datasets.shapes(n, rng, n_pixels).images, rng)
        found = np.concatenate([found, drawn])
        firsts = np.sort(np.unique(found, axis=0, return_index=True)[1])
        found = found[firsts[:n]]
        if len(found) == n:
            return found
    raise ValueError(f"found {len(found)} different images of {n_pixels} x {n_pixels} pixels, not {n}: ask for fewer")


def parts(settings, seed):
    """A family of models over beta on each kind of data, and a plain autoencoder.

    Parameters
    ----------
    settings : Settings
    seed : int
        Of the data, the weights, the minibatches and all noise.

    Returns
    -------
    dict
        {name: function(checkpoint)}; the checkpoints of a family lie in a folder of the part's name.
    """
    x = population(settings.n_images, settings.n_pixels, np.random.default_rng(seed))

    def shapes(checkpoint):
        return _family(x, x, settings.shape_betas, settings.shape_epochs, settings, seed, checkpoint)

    def autoencoder(checkpoint):
        made = _sizes(x, settings)
        model, epochs = Autoencoder(*made, seed=seed), FIRST * settings.shape_epochs
        rate = Cosine(settings.rate, epochs * -(-len(x) // settings.batch_size))
        options = {"optimizer": Adam(rate), "epochs": epochs, "batch_size": settings.batch_size, "seed": seed}
        for _ in train(model, x, **options):
            pass
        return {"distortion": model.held_out(x).loss}

    def digits(checkpoint):
        grey = datasets.find(settings.data)
        data = compare.binarized(grey, seed)
        betas, epochs = settings.digit_betas, settings.digit_epochs
        return _family(data.train, data.test, betas, epochs, settings, seed, checkpoint, grey.test)

    return {"shapes": shapes, "autoencoder": autoencoder, "digits": digits}


def _sizes(x, settings):
    return x.shape[1], settings.n_latents, settings.hidden


def _family(x, held_out, betas, epochs, settings, seed, checkpoint, greys=None):
    """Where the members lie, [value, standard error] each, and what is known beside."""
    vae = VAE(*_sizes(x, settings), seed=seed)
    folder = None if checkpoint is None else Path(checkpoint).with_suffix("")
    run = settings.rate, settings.batch_size, seed, folder
    members = compare.family(vae, x, held_out, betas, epochs, *run, n_rows=settings.n_rows)
    low, high = compare.entropy_limits(members, greys)
    without, held_out_without = compare.without_code(x, held_out)
    totals = [one.held_out.points[:, :2].sum(axis=1) for one in members]
    return {
        "betas": [one.beta for one in members],
        "train": [_numbers(one.train) for one in members],
        "held_out": [_numbers(one.held_out) for one in members],
        "over_data": [{k: list(v) for k, v in one.held_out.over_data().items()} for one in members],
        "total": [[float(t.mean()), float(t.std(ddof=1) / len(t) ** 0.5)] for t in totals],
        "active": [one.active for one in members],
        "chords": [
            {"betas": list(one.betas), "slope": one.slope, "excess": [list(e) for e in one.excess]}
            for one in compare.chords(members)
        ],
        "entropy": {"low": list(low), "high": list(high), "of_the_rows": members[0].held_out.entropy},
        "without_code": {"train": without, "held_out": list(held_out_without)},
    }


def _numbers(found):
    return {name: list(getattr(found, name)) for name in ("rate", "distortion", "information", "aggregate_kl")}


def rows(results):
    """The theory's limits and slopes beside the measured ones.

    Parameters
    ----------
    results : dict
        {part: what it returned}.

    Returns
    -------
    list of Row
    """
    shapes, digits = results["shapes"], results["digits"]
    return [*_shape_rows(shapes, results["autoencoder"]["distortion"]), *_digit_rows(digits)]


def _row(quantity, published, estimate, unit="nats", remark=""):
    value, error = estimate
    return Row(quantity, published, value, value - WIDE * error, value + WIDE * error, unit, remark)


def _shape_rows(found, autoencoder):
    entropy, first, most = found["entropy"]["of_the_rows"], found["train"][0], found["train"][-1]
    margins = []
    for one in found["train"]:
        (r, _), (d, d_error), (i, i_error) = (one[name] for name in ("rate", "distortion", "information"))
        margins += [(i - (entropy - d), float(np.hypot(d_error, i_error))), (r - i, i_error)]
    yield Row(
        "shapes: the narrowest of I - (H - D) and R - I, over all beta", "at least 0", *least(margins), "nats",
        remark="the shapes are a world of n images, each as probable as the others, so that H = log n and all of R, D "
        "and I are those of the world itself; the intervals of a least or a largest of several allow for their number",
    )  # fmt: skip
    totals = [(one["distortion"][0] + one["rate"][0], one["distortion"][1]) for one in found["train"]]
    yield Row("shapes: the least R + D", f"at least H = {entropy:.3f}", *least(totals), "nats")
    yield _row(f"shapes: D at beta {found['betas'][0]:g}, the autoencoding limit", 0, first["distortion"])
    yield Row("shapes: D of a plain autoencoder", None, autoencoder, unit="nats")
    yield _row(
        f"shapes: R at beta {found['betas'][0]:g}", f"at least H = {entropy:.3f}", first["rate"],
        remark="R = H there needs codes that lie as the prior does; below beta 1 R is spent beyond that",
    )  # fmt: skip
    yield _row(f"shapes: R at beta {found['betas'][-1]:g}, the autodecoding limit", 0, most["rate"])
    yield _row(
        f"shapes: D at beta {found['betas'][-1]:g}", f"{found['without_code']['train']:.3f} in theory",
        most["distortion"],
        remark="in theory: of the best decoder with independent pixels and no code, exactly; the paper's autodecoding "
        "limit D = H is that of a decoder that can be any distribution",
    )  # fmt: skip
    short = most["distortion"][0] - entropy, most["distortion"][1]
    yield _row("shapes: what the factorised decoder lacks there, D - H", None, short)
    yield from _slope_rows("shapes", found)


def _slope_rows(name, found):
    for i, chord in enumerate(found["chords"]):
        (r_1, _), (r_2, _) = (one["rate"] for one in found["train"][i : i + 2])
        if r_1 > USED and r_1 - r_2 > USED:
            errors = [one["distortion"][1] for one in found["train"][i : i + 2]]
            error = float(np.hypot(*errors)) / (r_1 - r_2)
            betas = " to ".join(f"{beta:g}" for beta in chord["betas"])
            yield _row(f"{name}: -dD/dR from beta {betas}", tuple(chord["betas"]), (chord["slope"], error), "")
    excesses = [(-value, error) for chord in found["chords"] for value, error in chord["excess"]]
    worst, high, low = (-end for end in least(excesses))
    yield Row(
        f"{name}: the largest excess of a model over its neighbour", "at most 0", worst, low, high, "nats",
        remark="in D + beta R at its own beta, on the training data: what training left",
    )  # fmt: skip


def _digit_rows(found):
    best = min(range(len(found["betas"])), key=lambda i: found["total"][i][0])
    low, high = found["entropy"]["low"], found["entropy"]["high"]
    remark = "by the cross-entropy of the best model on held-out digits, importance samples"
    yield _row("digits: an upper limit of H", None, high, remark=remark)
    yield _row("digits: a lower limit of H", None, low, remark="the entropy of the drawing of pixels from greys")
    yield Row(f"digits: the least R + D, held-out, at beta {found['betas'][best]:g}", "at least H",
              *least(found["total"]), "nats")  # fmt: skip
    most, beta = found["over_data"][-1], found["betas"][-1]
    yield _row(f"digits: R at beta {beta:g}, held-out", 0, most["rate"])
    without = found["without_code"]["held_out"][0]
    yield _row(
        f"digits: D at beta {beta:g}, held-out", f"{without:.2f} in theory", most["distortion"],
        remark="in theory: of the best decoder with independent pixels and no code, on the same digits",
    )  # fmt: skip
    short = most["distortion"][0] - high[0], float(np.hypot(most["distortion"][1], high[1]))
    remark = "D less the upper limit of H: the shortfall is at least this"
    yield _row("digits: what the factorised decoder lacks there, at least", None, short, remark=remark)
    yield from _slope_rows("digits, training", found)


def figure(results):
    """Both planes.

    Parameters
    ----------
    results : dict
        {part: what it returned}.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from tinyvae import plots

    shapes, digits = results["shapes"], results["digits"]
    entropy = shapes["entropy"]["of_the_rows"]
    return plots.planes({
        f"{np.exp(entropy):.0f} images, H known: below the line no model can be": {
            "betas": shapes["betas"], "held_out": _drawn(shapes["train"]), "entropy": (entropy, entropy),
            "without_code": shapes["without_code"]["train"],
        },
        "Digits, H between two limits": {
            "betas": digits["betas"], "held_out": _drawn(digits["over_data"]), "train": _drawn(digits["train"]),
            "entropy": (digits["entropy"]["low"][0], digits["entropy"]["high"][0]),
            "without_code": digits["without_code"]["held_out"][0],
        },
    })  # fmt: skip


def _drawn(found):
    """{"rate", "distortion": [[value, low, high], ...]}."""
    return {
        name: [[v, v - WIDE * e, v + WIDE * e] for v, e in (one[name] for one in found)]
        for name in ("rate", "distortion")
    }
