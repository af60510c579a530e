"""How good a trained model is: the bound on held-out data, and its two terms."""

from typing import NamedTuple

import numpy as np

from tinyvae import validate

__all__ = ["Bound", "bound"]


class Bound(NamedTuple):
    """Nats a data point. loss = reconstruction + kl, the negative ELBO; the terms are also called distortion and rate."""

    loss: float
    reconstruction: float
    kl: float


def bound(vae, x, n_samples=1, seed=0, batch_size=1000):
    """The negative ELBO of `x` (n, D) under `vae`, its KL in closed form, with `n_samples` samples a point.

    The same seed gives every model the same noise. At most `batch_size` decoder rows are held at once.
    Raises ValueError or TypeError for data that do not fit the model.
    """
    x = vae.check_data(x)
    rng = np.random.default_rng(seed)
    rows = max(
        1, validate.integer("batch_size", batch_size, least=1) // validate.integer("n_samples", n_samples, least=1)
    )
    reconstruction = kl = 0.0
    for start in range(0, len(x), rows):
        piece = x[start : start + rows].astype(vae.dtype, copy=False)
        q = vae.encode(piece)
        z = q.sample(q.noise(rng, n_samples))  # S, B, K
        outputs, _ = vae.decoder.propagate(z.reshape(-1, vae.n_latents))  # S * B, D
        losses = np.empty(len(outputs), vae.dtype)
        vae.likelihood.loss(outputs, piece, losses, **vae.own)
        reconstruction += float(losses.sum(dtype="float64")) / n_samples
        kl += float(q.kl().sum(dtype="float64"))
    reconstruction, kl = reconstruction / len(x), kl / len(x)
    return Bound(reconstruction + kl, reconstruction, kl)
