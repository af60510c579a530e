"""Moments of replicates in one pass: orthogonal contrasts, and the blocks of q's parameters."""

from typing import NamedTuple

import numpy as np

from tinyvae.kernels.moments import contrasts

__all__ = ["Contrasts", "Block", "Outputs", "squarable"]


class Contrasts:
    """Turn replicates g_r into Helmert contrasts u_r = sqrt((r - 1) / r) (g_r - m_{r-1}), m_r = mean(g_1, ..., g_r).

    u_1 = 0. The others have mean 0 and the replicates' covariance, and are uncorrelated. Their squares
    sum to sum_r (g_r - m_n)^2 exactly: an exact, stable variance in one pass, and a share of it for each
    replicate. A linear map of the contrasts gives the contrasts of the mapped replicates.

    Attributes
    ----------
    n : int
        How many replicates came so far.
    mean : array (...) or None
        Their mean, float64; None before the first.
    """

    def __init__(self):
        self.n, self.mean = 0, None

    def __call__(self, g):
        """The next replicates g (R, ...), float64 -> u_r and m_{r-1}, each (R, ...)."""
        if self.mean is None:
            self.mean = g[0].copy()
        u, before = np.empty_like(g), np.empty_like(g)
        contrasts(
            g.reshape(len(g), -1), self.mean.reshape(-1), self.n, u.reshape(len(g), -1), before.reshape(len(g), -1)
        )
        self.n += len(g)
        return u, before


class Block(NamedTuple):
    """A block's moments: arrays of its shape, and two numbers for each replicate.

    Attributes
    ----------
    mean : array of the block's shape
        Over replicates.
    variance : array of the block's shape
        Over replicates (ddof = 1).
    squares : array (n_draws,)
        ||u_r||^2 of each replicate, see `Contrasts`.
    projections : array (n_draws,)
        u_r' m_{r-1} of each replicate.
    """

    mean: np.ndarray
    variance: np.ndarray
    squares: np.ndarray
    projections: np.ndarray


class Outputs:
    """The blocks of q's parameters, "mu" and "logvar" for a Gaussian: the gradient with respect to them, (B, P).

    Parameters
    ----------
    q : DiagonalGaussian or another distribution
        It splits its parameters into the blocks.

    Attributes
    ----------
    q : DiagonalGaussian or another distribution
        As given.
    contrasts : Contrasts
        Of the gradients so far.
    sums : array (B, P)
        Sums of squared contrasts; 0.0 before the first.
    squares, projections : list of list of array (R,)
        ||u_r||^2 and u_r' m_{r-1}, for each chunk and block.
    """

    def __init__(self, q):
        self.q, self.contrasts = q, Contrasts()
        self.sums, self.squares, self.projections = 0.0, [], []

    @property
    def mean(self):
        """The mean of the gradients so far, (B, P) float64; None before the first."""
        return self.contrasts.mean

    def add(self, dparams):
        """dparams (R, B, P) -> its contrasts and the means before them, (R, B, P) each, for the encoder's weights."""
        u, before = self.contrasts(dparams)
        self.sums = self.sums + np.einsum("rbk,rbk->bk", u, u)
        parts = list(zip(self.q.split(u).values(), self.q.split(before).values()))
        self.squares.append([np.einsum("rbk,rbk->r", u, u) for u, _ in parts])
        self.projections.append([np.einsum("rbk,rbk->r", u, m) for u, m in parts])
        return u, before

    def finish(self):
        """The moments of all that was added, {name: Block}."""
        squares, projections = np.concatenate(self.squares, axis=1), np.concatenate(self.projections, axis=1)
        means, variances = self.q.split(self.mean), self.q.split(self.sums / (self.contrasts.n - 1))
        return {name: Block(means[name], variances[name], squares[i], projections[i]) for i, name in enumerate(means)}


def squarable(name, blocks):
    """An estimator's moments, if none of its gradients is too large to be squared.

    Parameters
    ----------
    name : str
        The estimator's.
    blocks : dict
        {block: Block}.

    Returns
    -------
    dict
        `blocks` itself.

    Raises
    ------
    ValueError
        Naming the estimator and the block.
    """
    for block, found in blocks.items():
        with np.errstate(over="ignore", invalid="ignore"):
            squared = np.square(found.mean, dtype="float64").sum() + found.variance.sum(dtype="float64")
        if not np.isfinite([squared, found.squares.sum(), found.projections.sum()]).all():
            raise ValueError(
                f"{name}'s gradient of {block} is too large to be squared in {found.variance.dtype}: "
                "scale the loss down, or measure a float32 model in float64, vae.with_dtype('float64')"
            )
    return blocks
