"""The jobs of the command line that use a saved model: sample, fill."""

import math
import os

import numpy as np

import tinyvae as tv
from tinyvae.cli import results, words

__all__ = ["sample", "fill"]

FIGURE = 220_000  # bytes that matplotlib takes for a square image in a figure, as measured
LINE = 10  # images on each line of an interpolation
SHOWN = 10  # rows of data that the figure of fill shows


def sample(args):
    """Draw images from a saved model, a VAE or a VQ-VAE, or walk through a VAE's latent space.

    Prints what is shown and the path; writes samples.png into --out, or manifold.png, interpolation.png, traversal.png.
    """
    from tinyvae import plots

    quantized = tv.models.kind_of(args.model) == "VQVAE"
    if quantized and args.walk:
        raise ValueError(
            f"{args.model} holds a tv.VQVAE, whose codes are whole numbers, with nothing between them to walk through: "
            f"leave out --{args.walk}"
        )
    vae = (tv.VQVAE if quantized else tv.VAE).load(args.model)
    shape = _image_shape(args, vae)
    _require_memory(args.n, vae, shape)
    name, walk = WALKS[args.walk]
    results.require(args, name)
    rng = np.random.default_rng(args.seed)
    z, columns, title, rows = (_codes if quantized else walk)(vae, args.n, rng)
    says = vae.decode(z)
    images = says.sample(rng) if args.draw else says.mean
    title += ": drawn from p(x | z)" if args.draw else ": means of p(x | z)"
    results.write_figure(args, name, plots.samples(images, shape, title, columns, rows))
    results.say_written(args)


def _prior(vae, n, rng):
    return vae.prior.sample(rng, n, vae.n_latents, vae.dtype), 10, "z from the prior", ()


def _codes(vqvae, n, rng):
    return (
        vqvae.codes_prior.sample(n, rng),
        10,
        f"codes from their {vqvae.codes_prior.name.replace('_', ' ')} prior",
        (),
    )


def _manifold(vae, n, rng):
    n_side = math.isqrt(n - 1) + 1
    return tv.evaluate.manifold(vae, n_side), n_side, "Latents 1 (to the right) and 2 (up)", ()


def _interpolation(vae, n, rng):
    start, end = (vae.prior.sample(rng, -(-n // LINE), vae.n_latents, vae.dtype) for _ in range(2))
    return tv.evaluate.interpolate(start, end, LINE), LINE, "Lines between two z from the prior", ()


def _traversal(vae, n, rng):
    rows = [f"latent {k + 1}" for k in range(vae.n_latents)]
    columns = 2 if hasattr(vae.family, "n_states") else LINE + 1  # of a bit, its states: none lies between them
    return tv.evaluate.traverse(vae, columns), columns, "Each latent from its 2.5% to its 97.5% quantile", rows


WALKS = {  # (vae, n, rng) -> codes, images in a row, a title, the rows' names
    None: ("samples.png", _prior),
    "manifold": ("manifold.png", _manifold),
    "interpolate": ("interpolation.png", _interpolation),
    "traverse": ("traversal.png", _traversal),
}


def fill(args):
    """Fill in what is missing in data.

    Prints what was found and done; writes filled.npy, (draws, rows, features), and filled.png into --out.
    """
    from tinyvae import plots

    vae = tv.VAE.load(args.model)
    data = tv.datasets.read(args.data, holes=True)
    words.say(data.found.rpartition("; train ")[0] + ".")  # a split is of no interest here
    x = np.concatenate([data.train, data.test])
    if x.shape[1] != vae.n_features:
        raise ValueError(
            f"{args.data}: has rows of {x.shape[1]} values, but {args.model} is of {vae.n_features}; give data of "
            "the kind that it was trained on"
        )
    shape, missing = _image_shape(args, vae, data.image_shape), np.isnan(x)
    holes = np.flatnonzero(missing.any(axis=1))
    if not len(holes):
        raise ValueError(
            f"{args.data}: nothing is missing; mark what is to be filled in: NaN, an empty csv field, "
            "or a transparent pixel"
        )
    _require(args.n_draws * x.nbytes, f"{words.counted(args.n_draws, 'draw')} of {len(x):,} rows")
    results.require(args, "filled.npy", "filled.png", size=args.n_draws * x.nbytes)
    rng = np.random.default_rng(args.seed)
    draws = tv.evaluate.impute(vae, x, args.n_draws, rng, args.n_steps, args.method)
    if tv.likelihoods.term(x, vae.likelihood) == "cross-entropy":
        words.say(
            f"The pixels of {args.data} are grey, those of the likelihood {vae.likelihood.name!r} are black or white: "
            "what is there counts by its cross-entropy, what is drawn is black or white."
        )
    results.write_array(args, "filled.npy", draws)
    first = holes[:SHOWN]
    results.write_figure(args, "filled.png", plots.fillings(x[first], draws[:, first], shape))
    words.say(
        f"Filled in {words.counted(int(missing.sum()), 'value')} in {len(holes):,} of {words.counted(len(x), 'row')}: "
        f"{words.counted(args.n_draws, 'draw')}, each the end of {words.counted(args.n_steps, 'step')} of "
        f"{args.method.replace('_', ' ')}."
    )
    results.say_written(args)


def _image_shape(args, vae, own=None):
    """(rows, columns) of an image: as given, as the model knows it, as the data's `own`, or the most square.

    Raises ValueError if it does not fit.
    """
    shape = args.image_shape or vae.image_shape or own or tv.datasets.image_shape(vae.n_features)
    if math.prod(shape) != vae.n_features:
        raise ValueError(
            f"--image-shape {shape[0]} {shape[1]} has {math.prod(shape)} pixels, "
            f"but the model's images have {vae.n_features}"
        )
    return shape


def _require_memory(n, vae, shape):
    """Raise MemoryError where so many images are more than all of the memory holds."""
    arrays = 2 * vae.dtype.itemsize * (vae.n_features + sum(vae.hidden))
    _require(n * (arrays + FIGURE * shape[0] / shape[1]), f"a figure of {n:,} images")


def _require(needed, what):
    """Raise MemoryError where so many bytes are more than there is memory: the system would kill us."""
    if not hasattr(os, "sysconf"):  # Windows
        return
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise MemoryError(f"{what} takes about {needed / 1e9:,.0f} GB of {there / 1e9:,.0f}")
