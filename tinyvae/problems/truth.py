"""The truth inside a real VAE: the exact gradient of its loss on one batch, by quadrature."""

from typing import NamedTuple

import numpy as np

from tinyvae import validate
from tinyvae.objectives import ELBO
from tinyvae.problems.exact import NODES, exact_gradient

__all__ = ["Reference", "vae_gradient"]

QUADRATURE_ROWS = 20_000  # decoder rows that are held at once


class Reference(NamedTuple):
    """What `vae_gradient` returns. gradients: {"mu", "logvar": (B, K), "encoder": (P,)}, as in `variance.measure`; error: the
    largest difference of a coordinate's gradient to a rule of three quarters of the nodes, over the largest coordinate."""

    gradients: dict
    error: float


def vae_gradient(vae, x, objective=ELBO(), n_samples=1, n_nodes=None):
    """The exact gradient of a VAE's loss on one batch, by Gauss-Hermite quadrature over one to three latents, in float64.

        d/d[mu, logvar] = E[f score] by `check.exact_gradient`, then the encoder's own backward pass

    x: (B, D); objective: an ELBO or ImportanceWeighted, whose bound depends on n_samples; n_nodes: in each latent, None for
    64, 32 or 20. The model is not changed: a copy in float64 is used.
    Returns a Reference. Raises ValueError for more than three latents, or input that does not fit.
    """
    if vae.n_latents not in NODES:
        raise ValueError(
            f"quadrature is for one to three latents, got {vae.n_latents}: train a model with --n-latents 2, or measure without the exact gradient"
        )
    n_nodes = validate.integer("n_nodes", NODES[vae.n_latents] if n_nodes is None else n_nodes, least=2)
    exact = vae.astype("float64")
    x = exact.check_data(x).astype("float64", copy=False)
    params, cache = exact.encoder.forward(x)
    coarse, fine = (_quadrature(exact, x, params, objective, n_samples, n) for n in (3 * n_nodes // 4, n_nodes))
    error = float(np.abs(fine - coarse).max() / np.abs(fine).max())
    q = exact.latents(params)
    gradient = fine + q.by_params(objective.kl_weights(q)) * q.kl_grad()  # B, P
    _, grads = exact.encoder.backward(cache, gradient / len(x))
    weights = np.concatenate([g.ravel() for g in grads.values()])
    return Reference({**q.split(gradient), "encoder": weights}, error)


def _quadrature(vae, x, params, objective, n_samples, n_nodes):
    """`check.exact_gradient`, a few data points at a time: (B, 2K)."""
    n_points = max(1, QUADRATURE_ROWS // n_nodes**vae.n_latents)
    pieces = [slice(start, start + n_points) for start in range(0, len(x), n_points)]
    return np.concatenate(
        [
            exact_gradient(vae.latents(params[p]), vae.target(x[p]), objective, n_nodes, n_samples=n_samples)
            for p in pieces
        ]
    )
