"""Running moments of a stream of gradients, one gradient at a time."""

import math

from tinyvae.kernels.compile import loop


def add_replicate_numpy(g, mean, sums, totals, r):
    """Add the r-th replicate g (P,) to the mean of those before and to the sums of squared contrasts, in place.

    totals <- [||u_r||^2, u_r' m_{r-1}], float64 (see `variance.moments.Contrasts`).
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
