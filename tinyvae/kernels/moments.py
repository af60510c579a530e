"""Running moments of a stream of gradients, one gradient at a time.

Each compiled loop stands directly below its NumPy twin and takes the same arguments.
"""

import math

from tinyvae.kernels.compile import loop

__all__ = ["add_replicate_numpy", "add_replicate", "contrasts_numpy", "contrasts"]


def add_replicate_numpy(g, mean, sums, totals, r):
    """Add the r-th replicate g (P,) to the mean (P,) of those before and to the squared contrasts' sums (P,), in place.

    totals (2,) <- [||u_r||^2, u_r' m_{r-1}], float64 (see `variance.moments.Contrasts`).
    """
    if r == 1:
        mean[:] = g
    share = (r - 1) / r
    u = g - mean
    totals[0], totals[1] = share * float(u @ u), math.sqrt(share) * float(u @ mean)
    mean += u / r
    sums += share * u * u


@loop(add_replicate_numpy)
def add_replicate(g, mean, sums, totals, r):
    zero = mean.dtype.type(0)
    share, rate = mean.dtype.type((r - 1) / r), mean.dtype.type(1 / r)
    square = projection = 0.0
    for start in range(0, len(g), 4096):  # short sums in the array's precision, their sum in float64
        s, p = zero, zero
        for i in range(start, min(start + 4096, len(g))):
            m = g[i] if r == 1 else mean[i]
            u = g[i] - m
            s += u * u
            p += u * m
            mean[i] = m + rate * u
            sums[i] += share * u * u
        square += s
        projection += p
    totals[0] = (r - 1) / r * square
    totals[1] = math.sqrt((r - 1) / r) * projection


def contrasts_numpy(g, mean, n, u, before):
    """Helmert contrasts of the next replicates g (R, P): u_r = sqrt((r - 1) / r) (g_r - m_{r-1}), before_r = m_{r-1}.

    u, before: (R, P), written; mean (P,) is that of the n before, and becomes that of all. float64.
    """
    for i, row in enumerate(g):
        r = n + i + 1
        before[i] = mean
        difference = row - mean
        u[i] = math.sqrt((r - 1) / r) * difference
        mean += difference / r


@loop(contrasts_numpy)
def contrasts(g, mean, n, u, before):
    for i in range(g.shape[0]):
        r = n + i + 1
        share, rate = math.sqrt((r - 1) / r), 1 / r
        row, contrast, m = g[i], u[i], before[i]
        for j in range(row.size):
            m[j] = mean[j]
            difference = row[j] - mean[j]
            contrast[j] = share * difference
            mean[j] += rate * difference
