"""What held-out data cost more than those a model learnt from, and what they cost in bits."""

from typing import NamedTuple

import numpy as np

from tinyvae import likelihoods, validate
from tinyvae.evaluate.bound import require_latents
from tinyvae.evaluate.estimate import Estimate
from tinyvae.kernels.data import only_bits
from tinyvae.machine import disk, team, workers
from tinyvae.objectives import finite

__all__ = ["Generalization", "generalization", "bits_per_pixel"]

ROWS = 500  # decoder rows that are held at once, a worker
GREYS = (16, 255)  # what data that were divided by it are multiples of: digits, images of a byte a pixel


class Generalization(NamedTuple):
    """The negative ELBO of data that were learnt from and of others, nats a data point.

    Attributes
    ----------
    train, test : Estimate
        Means, with the standard errors of data points drawn at random.
    gap : Estimate
        test - train: what was learnt by heart, if train is what the model learnt from.
    decoder_passes : int
        What it took.
    """

    train: Estimate
    test: Estimate
    gap: Estimate
    decoder_passes: int


def generalization(vae, x, x_test, rng, n_samples=5):
    """The negative ELBO of the training data, of held-out data, and the difference, each with its error.

        -ELBO(x) = mean_s -log p(x | z_s) + KL(q(z | x) || p(z)),   z_s ~ q(z | x)

    Parameters
    ----------
    vae : VAE
        The model.
    x : array (n, D)
        What it learnt from.
    x_test : array (m, D)
        What it has not seen; two rows at least of each.
    rng : numpy.random.Generator
        Its state decides the result, whatever the number of workers, and moves on.
    n_samples : int
        A data point, a decoder pass each.

    Returns
    -------
    Generalization
        The errors hold for other data of the same kind; the model is held. If the rows were not drawn independently
        (frames of a film), they are too small.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit.
    NonFiniteLoss
        If a term is not finite.
    """
    require_latents("the bound", vae)
    n_samples, both = validate.integer("n_samples", n_samples, least=1), []
    seed = np.random.SeedSequence(validate.generator("rng", rng).integers(2**63, size=2))
    for name, data in (("x", x), ("x_test", x_test)):
        data = vae.check_data(data, name)
        if len(data) < 2:
            raise ValueError(f"{name} must hold at least two rows, to tell an error, got one")
        both.append(data)
    with team.ready():
        train, test = (_losses(vae, data, n_samples, seed) for data in both)
    means, errors = zip(*((float(one.mean()), float(one.std(ddof=1) / np.sqrt(len(one)))) for one in (train, test)))
    gap = Estimate(means[1] - means[0], float(np.hypot(*errors)))
    passes = n_samples * (len(train) + len(test))
    return Generalization(Estimate(means[0], errors[0]), Estimate(means[1], errors[1]), gap, passes)


def _losses(vae, x, n_samples, seed):
    """The negative ELBO of each data point, nats, (n,) float64."""
    n_points = max(1, ROWS // n_samples)

    def chunks():
        for start in range(0, len(x), n_points):
            yield slice(start, start + n_points), np.random.default_rng(seed.spawn(1)[0])

    def losses(chunk):
        points, stream = chunk
        piece = x[points].astype(vae.dtype, copy=False)
        q, target, total = vae.encode(piece), vae.target(piece), 0.0
        for start in range(0, n_samples, ROWS):
            n = min(ROWS, n_samples - start)
            total = total + target(q.sample(q.noise(stream, n))).sum(axis=0, dtype="float64")
        disk.release(x)
        kl = finite("the KL term", q.kl().astype("float64"))
        return finite("the reconstruction term", total) / n_samples + kl

    return np.concatenate(list(workers.run(losses, chunks())))


def bits_per_pixel(vae, x, log_p):
    """What log p(x) is in bits a pixel: what it takes to write the data down by this model.

        -log p(x) / (D log 2);  of densities  (-log p(x) + D log L) / (D log 2)

    Black and white pixels and grey levels have probabilities, which are bits as they are. Of real numbers a density
    depends on their unit: bits make sense only where it is known what one step of them is. x that are whole numbers
    from 0 to L, divided by L (L = 255, or 16 as in the digits) have steps of 1/L, hence log L a pixel, the Jacobian of
    the division.

    Parameters
    ----------
    vae : VAE
        The model.
    x : array (n, D)
        The data.
    log_p : Estimate
        The mean of log p(x), nats, and its error.

    Returns
    -------
    bits : Estimate
        A pixel.
    levels : int
        L, or 1 for probabilities. Of a density, bits are no length of a code: the density may rise without bound at
        the few values that pixels take, and bits fall, even below 0. That takes uniform noise of one step on the pixels
        (Theis et al. 2016), in training, too, and x are then real numbers, which are refused here.

    Raises
    ------
    ValueError
        Where bits make no sense: of a cross-entropy of grey pixels, a squared error, a density of real numbers of
        another unit or of black and white pixels.
    """
    likelihoods.require_density(vae.likelihood, "bits_per_pixel")
    x = vae.check_data(x)
    bits = only_bits(x.ravel())
    if hasattr(vae.likelihood, "levels") or (likelihoods.takes_bits(vae.likelihood) and bits):
        levels = 1
    elif not vae.likelihood.is_density:
        raise ValueError(
            "the pixels are grey and the likelihood is of black and white: that is a cross-entropy, no -log p(x); "
            "binarize the data, or train with a likelihood of greys, such as 'categorical'"
        )
    elif bits:
        raise ValueError(
            f"the pixels are black and white, and {vae.likelihood.name!r} is a density of real numbers, which may be "
            "as high there as it likes; train with the likelihood 'bernoulli'"
        )
    else:
        levels = next((level for level in GREYS if _multiples(x, level)), None)
        if levels is None:
            raise ValueError(
                "the pixels are real numbers, whose density depends on their unit: bits make sense of whole numbers "
                "divided by 255 or 16"
            )
    unit = x.shape[1] * np.log(2)
    return Estimate(float(np.log2(levels) - log_p.value / unit), float(log_p.error / unit)), levels


def _multiples(x, level):
    """Whether x (n, D) in [0, 1] holds nothing but multiples of 1/level, up to rounding."""
    for start in range(0, len(x), ROWS):
        steps = x[start : start + ROWS].astype("float64") * level
        if steps.min() < 0 or steps.max() > level or np.abs(steps - np.rint(steps)).max() > 1e-3:
            return False
    return True
