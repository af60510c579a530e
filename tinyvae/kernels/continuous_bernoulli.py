"""The continuous Bernoulli's loss of logits, and its slope.

Each compiled loop stands directly below its NumPy twin and takes the same arguments. The density on [0, 1] is
proportional to e^(x l), which integrates to (e^l - 1) / l. With m = |l| and c = 1 - x where l > 0, c = x elsewhere:

    -log p(x | l) = m c + h(m),       h(m) = log((1 - e^-m) / m)
    d/dl          = +-(c + h'(m)),    h'(m) = 1 / (e^m - 1) - 1 / m

At l = 0, the uniform density, both are 0/0, and close to it their terms cancel. Below `SMALL` they are series in m,
whose coefficients are the Bernoulli numbers' B_k / (k k!) and B_k / k!; the first term left out is 1e-17 there.
"""

import numpy as np
from numba.extending import register_jitable

from tinyvae.kernels.compile import FASTMATH, loop
from tinyvae.kernels.scalars import exp, expm1_negative, log

__all__ = [
    "log_normaliser_numpy",
    "log_normaliser_slope_numpy",
    "continuous_bernoulli_loss_numpy",
    "continuous_bernoulli_loss",
    "continuous_bernoulli_loss_and_slope_numpy",
    "continuous_bernoulli_loss_and_slope",
]

SMALL = 0.5
# Of m^2, m^4, ... in h(m) + m / 2, and of m, m^3, ... in h'(m) + 1 / 2.
H = (1 / 24, -1 / 2880, 1 / 181440, -1 / 9676800, 1 / 479001600, -691 / 15692092416000, 1 / 1046139494400)
SLOPE = tuple(2 * (k + 1) * coefficient for k, coefficient in enumerate(H))
H_BACKWARD, SLOPE_BACKWARD = H[::-1], SLOPE[::-1]  # for Horner's scheme


def series_numpy(coefficients, u):
    """c_0 + c_1 u + c_2 u^2 + ..., the coefficients given from the last to c_0."""
    total = np.zeros_like(u)
    for coefficient in coefficients:
        total = total * u + u.dtype.type(coefficient)
    return total


def log_normaliser_numpy(m):
    """h(m) = log((1 - e^-m) / m) of m >= 0, an array; minus the log of the density where x is 0 (for l < 0)."""
    small, large = np.minimum(m, SMALL), np.maximum(m, SMALL)
    direct = -np.log(-large / np.expm1(-large))
    return np.where(m < SMALL, small * (small * series_numpy(H_BACKWARD, small * small) - m.dtype.type(0.5)), direct)


def log_normaliser_slope_numpy(m):
    """h'(m) = 1 / (e^m - 1) - 1 / m of m >= 0, an array: from -1/2 at 0 up to 0."""
    small, large = np.minimum(m, SMALL), np.maximum(m, SMALL)
    direct = -np.exp(-large) / np.expm1(-large) - 1 / large
    return np.where(m < SMALL, small * series_numpy(SLOPE_BACKWARD, small * small) - m.dtype.type(0.5), direct)


@register_jitable(fastmath=FASTMATH)
def series(coefficients, u, like):
    """The same for one number u, of the array `like`'s type."""
    total = like.dtype.type(0)
    for coefficient in coefficients:
        total = total * u + like.dtype.type(coefficient)
    return total


@register_jitable(fastmath=FASTMATH)
def log_normaliser(m, like):
    """h(m) of one number."""
    small, half = like.dtype.type(SMALL), like.dtype.type(0.5)
    large = small if m < small else m
    direct = -log(-large / expm1_negative(-large))  # of a number that is normal, whatever m
    return m * (m * series(H_BACKWARD, m * m, like) - half) if m < small else direct


@register_jitable(fastmath=FASTMATH)
def log_normaliser_slope(m, like):
    """h'(m) of one number."""
    small, half, one = like.dtype.type(SMALL), like.dtype.type(0.5), like.dtype.type(1)
    large = small if m < small else m
    direct = -exp(-large) / expm1_negative(-large) - one / large
    return m * series(SLOPE_BACKWARD, m * m, like) - half if m < small else direct


def continuous_bernoulli_loss_numpy(logits, x, loss):
    """loss_r = -log p(x_r | l_r), nats; logits (S * B, D), x (B, D), S times over, loss (S * B,)."""
    x = np.resize(x, logits.shape)
    m, c = np.abs(logits), np.where(logits > 0, 1 - x, x)
    loss[:] = (m * c + log_normaliser_numpy(m)).sum(axis=1)


@loop(continuous_bernoulli_loss_numpy)
def continuous_bernoulli_loss(logits, x, loss):
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    for i in range(logits.shape[0]):
        row, total = i % x.shape[0], zero
        for j in range(logits.shape[1]):
            l = logits[i, j]
            c = one - x[row, j] if l > zero else x[row, j]
            total += abs(l) * c + log_normaliser(abs(l), logits)
        loss[i] = total


def continuous_bernoulli_loss_and_slope_numpy(logits, x, loss):
    """The same, and the logits (S * B, D) become the gradient: dloss_r / dl_r = mean(l_r) - x_r."""
    continuous_bernoulli_loss_numpy(logits, x, loss)
    x = np.resize(x, logits.shape)
    slope = np.where(logits > 0, 1 - x, x) + log_normaliser_slope_numpy(np.abs(logits))
    logits[...] = np.where(logits > 0, slope, -slope)


@loop(continuous_bernoulli_loss_and_slope_numpy)
def continuous_bernoulli_loss_and_slope(logits, x, loss):
    zero, one = logits.dtype.type(0), logits.dtype.type(1)
    for i in range(logits.shape[0]):
        row, total = i % x.shape[0], zero
        for j in range(logits.shape[1]):
            l = logits[i, j]
            c = one - x[row, j] if l > zero else x[row, j]
            total += abs(l) * c + log_normaliser(abs(l), logits)
            slope = c + log_normaliser_slope(abs(l), logits)
            logits[i, j] = slope if l > zero else -slope
        loss[i] = total
