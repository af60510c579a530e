"""The loops of independent bits: probabilities, odds, slopes with the sample held, a batch's gradient.

Each compiled loop stands directly below its NumPy twin. Shapes: `x` and its `out` (N,), of any number; `logits`,
`probs`, `zero` = 1 - probs and `shares` (B, K); `own` (K,), a prior's logits; `eps`, `dodds` (S, B, K); the last
argument of each is written.
"""

import numpy as np

from tinyvae.kernels.compile import loop
from tinyvae.kernels.scalars import exp, log, log1p_unit

__all__ = [
    "sigmoid_numpy", "sigmoid", "softplus_numpy", "softplus", "binary_odds_numpy", "binary_odds",
    "binary_given_path_numpy", "binary_given_path", "binary_batch_gradient_numpy", "binary_batch_gradient",
]  # fmt: skip


def sigmoid_numpy(x, out):
    """1 / (1 + exp(-x))."""
    with np.errstate(over="ignore"):
        np.divide(1, 1 + np.exp(-x), out=out)


@loop(sigmoid_numpy)
def sigmoid(x, out):
    one = out.dtype.type(1)
    for i in range(x.size):
        out[i] = one / (one + exp(-x[i]))


def softplus_numpy(x, out):
    """log(1 + exp(x)), without overflow."""
    np.add(np.maximum(x, 0), np.log1p(np.exp(-np.abs(x))), out=out)


@loop(softplus_numpy)
def softplus(x, out):
    zero = out.dtype.type(0)
    for i in range(x.size):
        above = zero if x[i] < zero else x[i]
        out[i] = above + log1p_unit(exp(-abs(x[i])))


def binary_odds_numpy(logits, eps, out):
    """logits + log(eps / (1 - eps)); out (S, B, K)."""
    np.subtract(logits + np.log(eps), np.log1p(-eps), out=out)


@loop(binary_odds_numpy)
def binary_odds(logits, eps, out):
    one = out.dtype.type(1)
    for s in range(eps.shape[0]):
        for b in range(eps.shape[1]):
            for k in range(eps.shape[2]):
                out[s, b, k] = logits[b, k] + log(eps[s, b, k]) - log(one - eps[s, b, k])


def binary_given_path_numpy(probs, zero, dodds, eps, out):
    """dodds (1 - zero / eps) where the bit is 1, eps > zero, and dodds (1 - probs / (1 - eps)) where it is 0."""
    np.multiply(dodds, 1 - np.where(eps > zero, zero / eps, probs / (1 - eps)), out=out)


@loop(binary_given_path_numpy)
def binary_given_path(probs, zero, dodds, eps, out):
    one = out.dtype.type(1)
    for s in range(eps.shape[0]):
        for b in range(eps.shape[1]):
            for k in range(eps.shape[2]):
                u = eps[s, b, k]
                is_one = u > zero[b, k]
                above, below = zero[b, k] if is_one else probs[b, k], u if is_one else one - u
                out[s, b, k] = dodds[s, b, k] * (one - above / below)


def binary_batch_gradient_numpy(dparams, logits, probs, zero, own, shares, out):
    """mean_s dparams / B + shares probs zero (logits - own): a batch's mean, with its share of the KL's slope."""
    mean = dparams.sum(axis=0) / (dparams.shape[0] * dparams.shape[1])
    out[...] = mean + shares * (probs * zero * (logits - own))


@loop(binary_batch_gradient_numpy)
def binary_batch_gradient(dparams, logits, probs, zero, own, shares, out):
    real = out.dtype.type
    each = real(1 / (dparams.shape[0] * dparams.shape[1]))
    for b in range(out.shape[0]):
        for k in range(out.shape[1]):
            slope = probs[b, k] * zero[b, k] * (logits[b, k] - own[k])
            out[b, k] = dparams[0, b, k] * each + real(shares[b, k]) * slope
        for s in range(1, dparams.shape[0]):
            for k in range(out.shape[1]):
                out[b, k] += dparams[s, b, k] * each
