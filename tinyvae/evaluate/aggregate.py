"""The aggregate posterior q(z) = mean_n q(z | x_n): its density, and its KL to the prior on a grid."""

import numpy as np

from tinyvae.machine import workers

__all__ = ["Others", "kl_on_a_grid", "log_mean_density"]

CELLS = 2**18  # densities times latents that are held at once, a worker
GRID = 2**20  # nodes of a grid, at most
ROWS = 500  # of them that are one task
WIDTHS = 8  # how far a grid reaches beyond the codes' means, in their standard deviations


def log_mean_density(q, z, left_out=None):
    """The log density of a mixture of codes.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution
        M codes, in float64.
    z : array (T, K)
        Where.
    left_out : array (T,), optional
        For each z, the code that does not count.

    Returns
    -------
    array (T,)
        log 1/M sum_j q_j(z), or without one of them, 1/(M - 1), nats.
    """
    n, largest, total = len(q.params), np.full(len(z), -np.inf), np.zeros(len(z))
    n_codes = max(1, CELLS // z.size)
    for start in range(0, n, n_codes):
        some = q.like(q.params[start : start + n_codes])
        log_q = some.log_prob(np.repeat(z[:, None], len(some.params), axis=1))  # T, C
        if left_out is not None:
            here = np.flatnonzero((left_out >= start) & (left_out < start + n_codes))
            log_q[here, left_out[here] - start] = -np.inf
        high = np.maximum(largest, log_q.max(axis=1))
        base = np.where(np.isfinite(high), high, 0)  # a single code, left out
        total = total * np.exp(largest - base) + np.exp(log_q - base[:, None]).sum(axis=1)
        largest = high
    return largest + np.log(total / (n - (left_out is not None)))


class Others:
    """The log density at z of the codes of all data points but the one that z is from, or of some drawn from these.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution
        n codes, in float64.
    n_codes : int
        How many of the n - 1 others count: all, or so many, drawn anew for each z without replacement.
    """

    def __init__(self, q, n_codes):
        self.q, self.n_codes = q, n_codes

    def __call__(self, z, own, stream):
        """z (T, K), own (T,) the code of each -> (T,), nats; stream: a numpy Generator, if not all codes count."""
        n = len(self.q.params)
        if self.n_codes == n - 1:
            return log_mean_density(self.q, z, own)
        found, n_rows = np.empty(len(z)), max(1, CELLS // (self.n_codes * z.shape[1]))
        for start in range(0, len(z), n_rows):
            some = slice(start, start + n_rows)
            drawn = [stream.choice(n - 1, self.n_codes, replace=False, shuffle=False) for _ in own[some]]
            drawn = np.array(drawn)  # T, M
            drawn += drawn >= own[some, None]
            codes = self.q.like(self.q.params[drawn.ravel()])
            log_q = codes.log_prob(np.repeat(z[some], self.n_codes, axis=0)[None]).reshape(drawn.shape)
            high = log_q.max(axis=1)
            found[some] = high + np.log(np.exp(log_q - high[:, None]).mean(axis=1))
        return found


def kl_on_a_grid(q):
    """KL of the mixture of codes to the prior, by the rectangle rule, and its error.

    The grid reaches 8 standard deviations beyond all codes, with steps as wide as the narrowest code, or of 2^20 nodes.

    Parameters
    ----------
    q : DiagonalGaussian or FullGaussian
        n codes of K latents, in float64.

    Returns
    -------
    value : float
        Nats.
    error : float
        How far every other node alone is off, which is more than what all are off by, and what is lost of the mass.
    """
    mean, std = q.mean, np.sqrt(q.variance)
    low, high = (mean - WIDTHS * std).min(axis=0), (mean + WIDTHS * std).max(axis=0)
    if hasattr(q, "covariance"):  # the narrowest direction, whichever it is
        step = np.full(mean.shape[1], np.sqrt(np.linalg.eigvalsh(q.covariance).min()))
    else:
        step = std.min(axis=0)
    step = step * max(1.0, np.prod((high - low) / step) / GRID) ** (1 / len(step))
    shape = tuple(np.ceil((high - low) / step).astype(int) + 1)

    def sums(start):
        index = np.stack(np.unravel_index(np.arange(start, min(start + ROWS, np.prod(shape))), shape), axis=1)  # T, K
        z = low + step * index
        log_q = log_mean_density(q, z)
        density = np.exp(log_q)
        kl = density * (log_q - q.prior.log_prob(z[None])[0])
        odd = index.sum(axis=1) % 2 == 1
        return density.sum(), kl[odd].sum(), kl[~odd].sum()

    mass, odd, even = np.sum(list(workers.run(sums, range(0, np.prod(shape), ROWS))), axis=0) * np.prod(step)
    return odd + even, abs(odd - even) + abs(mass - 1) * max(1.0, abs(odd + even))
