"""How good a trained model is: the bound on held-out data, and its two terms."""

from typing import NamedTuple

import numpy as np

from tinyvae import validate
from tinyvae.machine import disk, team
from tinyvae.objectives import finite

__all__ = ["Bound", "bound", "require_latents"]


class Bound(NamedTuple):
    """The negative ELBO and its two terms, nats a data point; the terms are also called distortion and rate.

    Attributes
    ----------
    loss : float
        reconstruction + kl, the negative ELBO.
    reconstruction : float
        The first term, the distortion.
    kl : float
        The second term, the rate.
    """

    loss: float
    reconstruction: float
    kl: float


def bound(vae, x, n_samples=1, seed=0, batch_size=1000):
    """The negative ELBO of data under a model, its KL in closed form (of one with two layers, as far as there is one).

    The same seed gives every model the same noise.

    Parameters
    ----------
    vae : VAE or TwoLayerVAE
        The model.
    x : array (n, D)
        The data.
    n_samples : int
        Samples a point.
    seed : int
        Of the noise.
    batch_size : int
        At most so many decoder rows are held at once, or one data point's. With more than one sample a point the
        noise, and so the last digits, depend on it.

    Returns
    -------
    Bound
        Means over the n points, nats.

    Raises
    ------
    ValueError or TypeError
        For data that do not fit the model, numbers below 1, or a model without latents that are drawn.
    NonFiniteLoss
        If a term is not finite, as in training; the message names it.
    """
    require_latents("the bound", vae, "noise")
    x = vae.check_data(x)
    rng = np.random.default_rng(validate.integer("seed", seed, least=0))
    rows = max(
        1, validate.integer("batch_size", batch_size, least=1) // validate.integer("n_samples", n_samples, least=1)
    )
    reconstruction = kl = 0.0
    with team.ready():  # as in training, whatever runs beside it
        for start in range(0, len(x), rows):
            piece = x[start : start + rows].astype(vae.dtype, copy=False)
            disk.release(x)
            q = vae.encode(piece)
            kl += finite("the KL term", float(q.kl().sum(dtype="float64")))
            z = q.sample(q.noise(rng, n_samples))  # S, B, K
            if hasattr(q, "further_kl"):
                kl += finite("the KL term", float(q.further_kl(z).sum(dtype="float64"))) / n_samples
            outputs, _ = vae.decoder.propagate(z[..., : vae.code_size].reshape(-1, vae.code_size))  # S * B, D
            losses = np.empty(len(outputs), vae.dtype)
            vae.likelihood.loss(outputs, piece, losses, **vae.own)
            reconstruction += finite("the reconstruction term", float(losses.sum(dtype="float64"))) / n_samples
    reconstruction, kl = reconstruction / len(x), kl / len(x)
    return Bound(reconstruction + kl, reconstruction, kl)


def require_latents(what, model, needed="latents"):
    """Raise unless a model has latents that are drawn, of which there is something to evaluate.

    Parameters
    ----------
    what : str
        What is evaluated, for the message.
    model : VAE or another model
    needed : str, optional
        Which of the model's methods tells: "latents" of one layer, "noise" of any number.

    Raises
    ------
    TypeError
        If it has none.
    """
    if not hasattr(model, needed):
        raise TypeError(
            f"{what} is of a model {'with one layer ' * (hasattr(model, 'noise'))}whose latents are drawn, such as "
            f"tv.VAE, got {type(model).__name__}; the loss of such a model on held-out data is model.held_out(x)"
        )
