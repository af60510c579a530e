"""The truth inside a real VAE: the exact gradient of its loss on one batch, by quadrature."""

from typing import NamedTuple

import numpy as np

from tinyvae import validate
from tinyvae.objectives import ELBO
from tinyvae.problems.exact import NODES, coarser, exact_gradient
from tinyvae.variance.replicates import analytic_kl_grad

__all__ = ["Reference", "vae_gradient"]

QUADRATURE_ROWS = 20_000  # decoder rows that are held at once


class Reference(NamedTuple):
    """What `vae_gradient` returns.

    Attributes
    ----------
    gradients : dict
        {"mu": array (B, K), "logvar": array (B, K), "encoder": array (P,)}, as in `variance.measure`.
    error : float
        The largest difference of a data point's gradient to a coarser rule's, over the largest coordinate.
    errors : dict
        Arrays as in `gradients`: of each coordinate, the larger of the differences to the rule of one node fewer, whose
        nodes lie between this one's, and to that of three quarters as many, since a kink may lie where the first two
        agree by chance. In 300 decoders of 8 hidden units and one data point each, fresh or steeper (relu and elu up to
        three times, tanh ten times), the true error of a coordinate of q was half of it or less (median), and at 64
        nodes 0.9 of it at most. At 32 and 128 nodes it was 1.2 times at most, under the steepest tanh 1.8 times.
        `variance.bias` takes it.
    """

    gradients: dict
    error: float
    errors: dict


def vae_gradient(vae, x, objective=ELBO(), n_samples=1, n_nodes=None):
    """The exact gradient of a VAE's loss on one batch, by Gauss-Hermite quadrature over one to three latents.

        d/d[mu, logvar] = E[f score] by `check.exact_gradient`, then the encoder's own backward pass

    Parameters
    ----------
    vae : VAE
        The model, of one to three latents. It is not changed: a copy in float64 is used.
    x : array (B, D)
        One batch.
    objective : ELBO or ImportanceWeighted
        The bound of ImportanceWeighted depends on n_samples.
    n_samples : int
        S.
    n_nodes : int or None
        Nodes in each latent, at least 2; None for 64, 32 or 20.

    Returns
    -------
    Reference
        The gradient, in float64, and the quadrature's error, which `variance.bias` should be given too.

    Raises
    ------
    ValueError or TypeError
        For more than three latents, or input that does not fit.
    """
    if vae.n_latents not in NODES:
        raise ValueError(
            f"quadrature is for one to three latents, got {vae.n_latents}: "
            "train a model with --n-latents 2, or measure without the exact gradient"
        )
    n_nodes = validate.integer("n_nodes", NODES[vae.n_latents] if n_nodes is None else n_nodes, least=2)
    exact = vae.with_dtype("float64")
    x = exact.check_data(x).astype("float64", copy=False)
    params, cache = exact.encoder.forward(x)
    fine, *others = (_quadrature(exact, x, params, objective, n_samples, n) for n in (n_nodes, *coarser(n_nodes)))
    q = exact.latents(params)

    def blocks(gradient):
        """All blocks from q's, (B, P)."""
        _, grads = exact.encoder.backward(cache, gradient / len(x))
        return {**q.split(gradient), "encoder": np.concatenate([g.ravel() for g in grads.values()])}

    offs = [blocks(fine - coarse) for coarse in others]  # backward is linear
    errors = {block: np.max([np.abs(off[block]) for off in offs], axis=0) for block in offs[0]}
    error = float(np.abs(fine - np.array(others)).max() / np.abs(fine).max())
    return Reference(blocks(fine + analytic_kl_grad(q, objective)), error, errors)


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
