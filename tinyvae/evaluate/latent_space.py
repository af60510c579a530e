"""Walks through the latent space: codes z in a plane, on a line, along each latent.

`vae.decode(z).mean` shows what to expect at a code, `vae.decode(z).sample(rng)` what an image drawn there looks like.
"""

import numpy as np

from tinyvae import validate
from tinyvae.evaluate.bound import require_latents

__all__ = ["manifold", "interpolate", "traverse"]

TAIL = 0.025  # of the prior, beyond each end of a traversal


def manifold(vae, n_side, latents=(0, 1)):
    """A square grid of codes that holds equal parts of the prior: equally spaced in its distribution function.

        z_k = F_k^-1((i + 1/2) / n_side),  i = 0, ..., n_side - 1

    Parameters
    ----------
    vae : VAE
        The model, with two latents or more.
    n_side : int
        Codes along each side.
    latents : tuple of two int
        Which latents run from left to right and from bottom to top, from 0; all others stay at their median.

    Returns
    -------
    array (n_side^2, K)
        In reading order: the first is at the top left.

    Raises
    ------
    ValueError or TypeError
        If the model has one latent, there are no such two, or the prior has no `quantile`.

    Notes
    -----
    Source: Kingma & Welling 2014, appendix A.
    """
    require_latents("manifold", vae)
    n_side = validate.integer("n_side", n_side, least=1)
    first, second = _two(vae, latents)
    steps = (np.arange(n_side) + 0.5) / n_side
    u = np.full((n_side, n_side, vae.n_latents), 0.5)
    u[..., first] = steps
    u[..., second] = steps[::-1, None]
    return _quantiles(vae, u)


def interpolate(start, end, n_steps):
    """Codes on the straight line from each start to its end, both included.

    Parameters
    ----------
    start, end : array (n, K)
        Codes, such as `vae.encode(x).mean` of two sets of images.
    n_steps : int
        Codes on each line, at least 2.

    Returns
    -------
    array (n n_steps, K)
        Line after line.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit.

    Notes
    -----
    With many latents a line between two draws from N(0, I) passes nearer to 0 than almost all draws lie.
    """
    start = validate.array("start", start, ("n", "K"))
    end = validate.array("end", end, start.shape, start.dtype)
    share = np.linspace(0, 1, validate.integer("n_steps", n_steps, least=2), dtype=start.dtype)[:, None]
    return ((1 - share) * start[:, None] + share * end[:, None]).reshape(-1, start.shape[1])


def traverse(vae, n_steps, z=None):
    """Codes that differ in one latent at a time, from its 2.5% to its 97.5% quantile under the prior.

    Parameters
    ----------
    vae : VAE
        The model.
    n_steps : int
        Codes along each latent, at least 2.
    z : array (K,), optional
        The code that the others stay at; the prior's median if not given.

    Returns
    -------
    array (K n_steps, K)
        Latent after latent.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, or if the prior has no `quantile`.
    """
    require_latents("traverse", vae)
    n_steps, n_latents = validate.integer("n_steps", n_steps, least=2), vae.n_latents
    ends = _quantiles(vae, np.repeat(np.linspace(TAIL, 1 - TAIL, 2)[:, None], n_latents, axis=1))  # 2, K
    if z is None:
        z = _quantiles(vae, np.full((1, n_latents), 0.5))[0]
    codes = np.tile(validate.array("z", z, (n_latents,), vae.dtype), (n_latents, n_steps, 1))
    for k in range(n_latents):
        codes[k, :, k] = np.linspace(*ends[:, k], n_steps)
    return codes.reshape(-1, n_latents)


def _two(vae, latents):
    if vae.n_latents < 2:
        raise ValueError("a manifold is a plane of two latents, and the model has 1: take traverse")
    if not isinstance(latents, (tuple, list)) or len(latents) != 2:
        raise TypeError(f"latents must be two integers such as (0, 1), got {latents!r}")
    first, second = (validate.integer("each of latents", k, least=0) for k in latents)
    if max(first, second) >= vae.n_latents or first == second:
        raise ValueError(f"latents must be two of 0 to {vae.n_latents - 1}, got {latents!r}")
    return first, second


def _quantiles(vae, u):
    """The prior's, for u (..., K), as codes (n, K) of the model's dtype."""
    if vae.code_size > vae.n_latents:
        raise TypeError(
            f"latents of {vae.family.name!r} are ways without an order, with nothing to walk along: take interpolate"
        )
    if not hasattr(vae.prior, "quantile"):
        raise TypeError(
            f"the prior {vae.prior.name!r} has no quantile(u), the inverse of its distribution function: give it one"
        )
    return np.asarray(vae.prior.quantile(u.reshape(-1, vae.n_latents))).astype(vae.dtype)
