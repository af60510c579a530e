"""The aggregate posterior q(z) = mean_n q(z | x_n): its density, and its KL to the prior on a grid."""

import numpy as np

from tinyvae.machine import workers
from tinyvae.machine.progress import passing_bar

__all__ = ["Mixture", "kl_on_a_grid"]

CELLS = 2**18  # densities that are held at once, a worker
GRID = 2**20  # nodes of a grid that are in reach
ROWS = 500  # of them that are one task
STEPS = 0.5, 1, 2  # a grid's, in the narrowest code's widths: where it costs little, where it costs more, at most
LITTLE = 2**26  # densities
WIDTHS = 8  # how far a grid reaches beyond the codes' means, in their standard deviations


class Mixture:
    """The codes q(z | x_n) of n data points, each as likely as the others.

    A Gaussian's log density is a quadratic form in z, that of bits and choices linear: all densities at many z are one
    product of matrices. Where a code is so narrow that this loses digits, mu^2 / sigma^2 above 1e10, the others have no
    density beside its own.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution
        n codes of K latents, in float64.
    """

    def __init__(self, q):
        self.q, self.center = q, q.mean.mean(axis=0)
        n, mean = len(q.params), q.mean - self.center
        if hasattr(q, "covariance"):
            precision = np.linalg.inv(q.covariance)  # n, K, K
            slope = (precision @ mean[:, :, None])[..., 0]
        elif hasattr(q, "std"):
            precision = 1 / q.variance  # n, K
            slope = precision * mean
        elif hasattr(q, "probs"):
            self.center = np.zeros(mean.shape[1])
            precision, slope = np.empty((n, 0)), q.log_prob_grad(np.zeros((1, *mean.shape)))[0]
        else:
            self.coefficients = None
            return
        at_center = q.log_prob(np.tile(self.center, (1, n, 1))).T  # n, 1
        self.coefficients = np.concatenate([-0.5 * precision.reshape(n, -1), slope, at_center], axis=1)  # n, F

    def log_density(self, z, left_out=None):
        """The log of the codes' mean density at z.

        Parameters
        ----------
        z : array (T, K)
            Where.
        left_out : array (T,), optional
            For each z, the code that does not count.

        Returns
        -------
        array (T,)
            Nats.
        """
        n, n_codes = len(self.q.params), max(1, CELLS // len(z))
        largest, total = np.full(len(z), -np.inf), np.zeros(len(z))
        for start in range(0, n, n_codes):
            log_q = self.log_densities(z, np.arange(start, min(start + n_codes, n)))  # T, C
            if left_out is not None:
                here = np.flatnonzero((left_out >= start) & (left_out < start + n_codes))
                log_q[here, left_out[here] - start] = -np.inf
            high = np.maximum(largest, log_q.max(axis=1))
            base = np.where(np.isfinite(high), high, 0)  # nothing but the code that is left out
            log_q -= base[:, None]
            total = total * np.exp(largest - base) + np.exp(log_q, out=log_q).sum(axis=1)
            largest = high
        return largest + np.log(total / (n - (left_out is not None)))

    def log_density_of_others(self, z, own, n_others, stream):
        """The same without the code that each z is from, and with so many of the others.

        Parameters
        ----------
        z : array (T, K)
            Where.
        own : array (T,)
            The code of each.
        n_others : int
            All n - 1 of them, or so many, drawn anew for each z without replacement.
        stream : numpy.random.Generator
            Asked if not all count.

        Returns
        -------
        array (T,)
            Nats.
        """
        n = len(self.q.params)
        if n_others == n - 1:
            return self.log_density(z, left_out=own)
        found, n_rows = np.empty(len(z)), max(1, CELLS // (n_others * self.q.params.shape[1]))
        for start in range(0, len(z), n_rows):
            some = slice(start, start + n_rows)
            drawn = np.array([stream.choice(n - 1, n_others, replace=False, shuffle=False) for _ in own[some]])
            log_q = self.log_densities(z[some], drawn + (drawn >= own[some, None]))  # T, n_others
            high = log_q.max(axis=1)
            found[some] = high + np.log(np.exp(log_q - high[:, None]).mean(axis=1))
        return found

    def log_densities(self, z, codes):
        """log q_j(z) of some codes j.

        Parameters
        ----------
        z : array (T, K)
            Where.
        codes : array (C,) or (T, C)
            Which: the same for all z, or each one's own.

        Returns
        -------
        array (T, C)
            Nats.
        """
        if self.coefficients is None:
            codes = np.broadcast_to(codes, (len(z), codes.shape[-1]))
            some = self.q.like(self.q.params[codes.ravel()])
            return some.log_prob(np.repeat(z, codes.shape[1], axis=0)[None]).reshape(codes.shape)
        z, coefficients = z - self.center, self.coefficients[codes]
        squares = z[:, :, None] * z[:, None] if hasattr(self.q, "covariance") else z * z
        squares = squares.reshape(len(z), -1)[:, : coefficients.shape[-1] - z.shape[1] - 1]  # none of bits and choices
        features = np.concatenate([squares, z, np.ones((len(z), 1))], axis=1)  # T, F
        return features @ coefficients.T if codes.ndim == 1 else (coefficients @ features[:, :, None])[..., 0]


def kl_on_a_grid(mixture):
    """KL of the mixture of codes to the prior, by the rectangle rule, and its error.

    The grid reaches 8 standard deviations beyond all codes. Its steps are half as wide as the narrowest code (as
    wide, where that takes long), where the rule is off by 1e-34 (1e-8) of a code's mass; up to twice as wide, where it
    is off by 1e-2, if it had more than 2^20 nodes.

    Parameters
    ----------
    mixture : Mixture
        Of Gaussians.

    Returns
    -------
    value : float
        Nats.
    error : float
        How far a rule of every other node is off, which is more than what all are off by, and the mass that is lost.

    Raises
    ------
    ValueError
        If the narrowest code needs a larger grid.
    """
    q = mixture.q
    mean, std = q.mean, np.sqrt(q.variance)
    low, high = (mean - WIDTHS * std).min(axis=0), (mean + WIDTHS * std).max(axis=0)
    if hasattr(q, "covariance"):  # the narrowest direction, whichever it is
        width = np.full(mean.shape[1], np.sqrt(np.linalg.eigvalsh(q.covariance).min()))
    else:
        width = std.min(axis=0)
    n_nodes = np.prod((high - low) / width)
    quick, least = ((n_nodes / most) ** (1 / len(width)) for most in (LITTLE / len(mean), GRID))
    stride = max(min(max(STEPS[0], quick), STEPS[1]), least)
    if stride > STEPS[2]:
        n_nodes /= STEPS[2] ** len(width)
        raise ValueError(
            f"the narrowest code, {width.min():.2g} wide, needs a grid of {n_nodes:.1e} nodes, where {GRID:,} are in "
            "reach; take method='monte_carlo'"
        )
    step = width * stride
    shape = tuple(np.ceil((high - low) / step).astype(int) + 1)
    size = int(np.prod(shape))

    def sums(start):
        index = np.stack(np.unravel_index(np.arange(start, min(start + ROWS, size)), shape), axis=1)  # T, K
        z = low + step * index
        log_q = mixture.log_density(z)
        density = np.exp(log_q)
        kl = density * (log_q - q.prior.log_prob(z[None])[0])
        odd = index.sum(axis=1) % 2 == 1
        return density.sum(), kl[odd].sum(), kl[~odd].sum()

    total = np.zeros(3)
    with passing_bar(size, "node") as bar:
        for found in workers.run(sums, range(0, size, ROWS)):
            total += found
            bar.update(min(ROWS, size - bar.n))
    mass, odd, even = total * np.prod(step)
    return odd + even, abs(odd - even) + abs(mass - 1) * max(1.0, abs(odd + even))
