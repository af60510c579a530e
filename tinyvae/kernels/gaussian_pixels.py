"""The Gaussian loss of pixels, and its slopes: one variance a pixel, or one for each pixel of each image.

Each compiled loop stands directly below its NumPy twin and takes the same arguments. With v the variance:

    -log p(x | m, v) = (x - m)^2 / (2 v) + log(2 pi v) / 2
    d/dm = (m - x) / v,     d/dlog v = (1 - (x - m)^2 / v) / 2

The mean m is the output o, or its sigmoid, whose slope is dm/do = m (1 - m). A learnt variance has a floor, in a form
that no log-variance l overflows: with u = l - log(floor),

    v = floor + e^l = floor (1 + e^u),     log v = log(floor) + log(1 + e^u),     dlog v / dl = sigmoid(u)

`numbers` tells a loop what it needs beside the outputs: where the images share the variances, 1 / v (D,) and then
log(2 pi v) / 2 (D,); where they do not, log(floor).
"""

import math

import numpy as np
from numba.extending import register_jitable

from tinyvae.kernels.compile import FASTMATH, loop
from tinyvae.kernels.scalars import exp, log1p_unit

__all__ = [
    "sigmoid_numpy",
    "floored_numpy",
    "gaussian_loss_numpy",
    "gaussian_loss",
    "gaussian_loss_and_slope_numpy",
    "gaussian_loss_and_slope",
    "gaussian_sigmoid_loss_and_slope_numpy",
    "gaussian_sigmoid_loss_and_slope",
    "gaussian_variance_slope_numpy",
    "gaussian_variance_slope",
    "per_pixel_loss_numpy",
    "per_pixel_loss",
    "per_pixel_loss_and_slope_numpy",
    "per_pixel_loss_and_slope",
    "per_pixel_sigmoid_loss_and_slope_numpy",
    "per_pixel_sigmoid_loss_and_slope",
]

LOG_2PI = math.log(2 * math.pi)


def sigmoid_numpy(a):
    """1 / (1 + e^-a) and its slope, without overflow, of an array."""
    e = np.exp(-np.abs(a))
    return np.where(a > 0, 1, e) / (1 + e), e / ((1 + e) * (1 + e))


def floored_numpy(logvar, log_floor):
    """log v of v = floor + e^l, 1 / v, and dlog v / dl, of an array l."""
    u = logvar - log_floor
    e = np.exp(-np.abs(u))
    low = np.where(u > 0, e, 1) / (1 + e)  # the floor's share in v
    return log_floor + np.maximum(u, 0) + np.log1p(e), low * np.exp(-log_floor), np.where(u > 0, 1, e) / (1 + e)


@register_jitable(fastmath=FASTMATH)
def sigmoid(a, like):
    """The same for one number, of the array `like`'s type."""
    zero, one = like.dtype.type(0), like.dtype.type(1)
    e = exp(-abs(a))
    share = one / (one + e)
    return (one if a > zero else e) * share, e * share * share


@register_jitable(fastmath=FASTMATH)
def floored(logvar, log_floor, scale, like):
    """The same for one number; scale is 1 / floor."""
    zero, one = like.dtype.type(0), like.dtype.type(1)
    u = logvar - log_floor
    e = exp(-abs(u))
    share = one / (one + e)
    larger, smaller = share, e * share
    log_v = log_floor + (u if u > zero else zero) + log1p_unit(e)
    return log_v, (smaller if u > zero else larger) * scale, larger if u > zero else smaller


# No "reassoc" here: off^2 may be infinite where 1 / v is 0.
@register_jitable(fastmath={"contract", "nsz"})
def square(off, precision):
    """(x - m)^2 / v."""
    return off * precision * off


# --- variances that all images share ------------------------------------------------------------------


def gaussian_loss_numpy(outputs, x, loss, numbers):
    """loss_r = -log p(x_r | o_r), nats; outputs (S * B, D), x (B, D), S times over, loss (S * B,), numbers (2 D,)."""
    off, n = outputs - np.resize(x, outputs.shape), outputs.shape[1]
    loss[:] = (0.5 * off * numbers[:n] * off + numbers[n:]).sum(axis=1)


@loop(gaussian_loss_numpy)
def gaussian_loss(outputs, x, loss, numbers):
    zero, half, n = outputs.dtype.type(0), outputs.dtype.type(0.5), outputs.shape[1]
    for i in range(outputs.shape[0]):
        row, total = i % x.shape[0], zero
        for j in range(n):
            off = outputs[i, j] - x[row, j]
            total += half * square(off, numbers[j]) + numbers[n + j]
        loss[i] = total


def gaussian_loss_and_slope_numpy(outputs, x, loss, numbers):
    """The same, and the outputs (S * B, D) become the gradient: dloss_r / do_r = (o_r - x_r) / v."""
    gaussian_loss_numpy(outputs, x, loss, numbers)
    outputs[...] = (outputs - np.resize(x, outputs.shape)) * numbers[: outputs.shape[1]]


@loop(gaussian_loss_and_slope_numpy)
def gaussian_loss_and_slope(outputs, x, loss, numbers):
    zero, half, n = outputs.dtype.type(0), outputs.dtype.type(0.5), outputs.shape[1]
    for i in range(outputs.shape[0]):
        row, total = i % x.shape[0], zero
        for j in range(n):
            off = outputs[i, j] - x[row, j]
            total += half * square(off, numbers[j]) + numbers[n + j]
            outputs[i, j] = off * numbers[j]
        loss[i] = total


def gaussian_sigmoid_loss_and_slope_numpy(outputs, x, loss, numbers):
    """The same for means that are the outputs' sigmoids."""
    mean, slope = sigmoid_numpy(outputs)
    gaussian_loss_and_slope_numpy(mean, x, loss, numbers)
    outputs[...] = mean * slope


@loop(gaussian_sigmoid_loss_and_slope_numpy)
def gaussian_sigmoid_loss_and_slope(outputs, x, loss, numbers):
    zero, half, n = outputs.dtype.type(0), outputs.dtype.type(0.5), outputs.shape[1]
    for i in range(outputs.shape[0]):
        row, total = i % x.shape[0], zero
        for j in range(n):
            mean, slope = sigmoid(outputs[i, j], outputs)
            off = mean - x[row, j]
            total += half * square(off, numbers[j]) + numbers[n + j]
            outputs[i, j] = off * numbers[j] * slope
        loss[i] = total


def gaussian_variance_slope_numpy(mean, x, weights, numbers, out):
    """out_d = d sum_r weights_r loss_r / dlog v_d, of means and x (S * B, D), weights (S * B,), out (D,)."""
    off = mean - x
    out[:] = weights @ (0.5 - 0.5 * off * numbers[: len(out)] * off)


@loop(gaussian_variance_slope_numpy)
def gaussian_variance_slope(mean, x, weights, numbers, out):
    half = mean.dtype.type(0.5)
    out[:] = 0
    for i in range(mean.shape[0]):
        for j in range(mean.shape[1]):
            off = mean[i, j] - x[i, j]
            out[j] += weights[i] * (half - half * square(off, numbers[j]))


# --- a variance for each pixel of each image: the outputs are the means' D numbers, then D log-variances ------


def per_pixel_loss_numpy(outputs, x, loss, numbers):
    """loss_r = -log p(x_r | o_r), nats; outputs (S * B, 2 D), x (B, D), S times over, loss (S * B,), numbers (1,)."""
    mean, logvar = np.split(outputs, 2, axis=1)
    log_v, precision, _ = floored_numpy(logvar, numbers[0])
    off = mean - np.resize(x, mean.shape)
    loss[:] = (0.5 * (off * precision * off + log_v + outputs.dtype.type(LOG_2PI))).sum(axis=1)


@loop(per_pixel_loss_numpy)
def per_pixel_loss(outputs, x, loss, numbers):
    half, log_2pi, n = outputs.dtype.type(0.5), outputs.dtype.type(LOG_2PI), outputs.shape[1] // 2
    log_floor, scale = numbers[0], exp(-numbers[0])
    for i in range(outputs.shape[0]):
        row, total = i % x.shape[0], outputs.dtype.type(0)
        for j in range(n):
            off = outputs[i, j] - x[row, j]
            log_v, precision, _ = floored(outputs[i, n + j], log_floor, scale, outputs)
            total += half * (square(off, precision) + log_v + log_2pi)
        loss[i] = total


def per_pixel_loss_and_slope_numpy(outputs, x, loss, numbers):
    """The same, and the outputs (S * B, 2 D) become the gradient: by the means, then by the log-variances."""
    per_pixel_loss_numpy(outputs, x, loss, numbers)
    mean, logvar = np.split(outputs, 2, axis=1)
    _, precision, slope = floored_numpy(logvar, numbers[0])
    off = mean - np.resize(x, mean.shape)
    mean[...], logvar[...] = off * precision, 0.5 * (1 - off * precision * off) * slope


@loop(per_pixel_loss_and_slope_numpy)
def per_pixel_loss_and_slope(outputs, x, loss, numbers):
    half, one = outputs.dtype.type(0.5), outputs.dtype.type(1)
    log_2pi, n = outputs.dtype.type(LOG_2PI), outputs.shape[1] // 2
    log_floor, scale = numbers[0], exp(-numbers[0])
    for i in range(outputs.shape[0]):
        row, total = i % x.shape[0], outputs.dtype.type(0)
        for j in range(n):
            off = outputs[i, j] - x[row, j]
            log_v, precision, share = floored(outputs[i, n + j], log_floor, scale, outputs)
            total += half * (square(off, precision) + log_v + log_2pi)
            outputs[i, j] = off * precision
            outputs[i, n + j] = half * (one - square(off, precision)) * share
        loss[i] = total


def per_pixel_sigmoid_loss_and_slope_numpy(outputs, x, loss, numbers):
    """The same for means that are the sigmoids of the first D outputs."""
    mean, slope = sigmoid_numpy(outputs[:, : outputs.shape[1] // 2])
    outputs[:, : mean.shape[1]] = mean
    per_pixel_loss_and_slope_numpy(outputs, x, loss, numbers)
    outputs[:, : mean.shape[1]] *= slope


@loop(per_pixel_sigmoid_loss_and_slope_numpy)
def per_pixel_sigmoid_loss_and_slope(outputs, x, loss, numbers):
    half, one = outputs.dtype.type(0.5), outputs.dtype.type(1)
    log_2pi, n = outputs.dtype.type(LOG_2PI), outputs.shape[1] // 2
    log_floor, scale = numbers[0], exp(-numbers[0])
    for i in range(outputs.shape[0]):
        row, total = i % x.shape[0], outputs.dtype.type(0)
        for j in range(n):
            mean, slope = sigmoid(outputs[i, j], outputs)
            off = mean - x[row, j]
            log_v, precision, share = floored(outputs[i, n + j], log_floor, scale, outputs)
            total += half * (square(off, precision) + log_v + log_2pi)
            outputs[i, j] = off * precision * slope
            outputs[i, n + j] = half * (one - square(off, precision)) * share
        loss[i] = total
