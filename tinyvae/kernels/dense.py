"""What surrounds the matrix products of a dense layer: bias and activation, and their backward.

Each compiled loop stands directly below its NumPy twin and takes the same arguments. All work in
place and allocate nothing that grows with the batch. In `bias_*`, `a` is `(B, n)` and holds `x @ W`
on entry and the layer's output `y` on return. In `*_backward`, `dy` is `(B, n)` and holds dL/dy on
entry and dL/da, the gradient before the activation, on return.
"""

import math

import numpy as np

from tinyvae.kernels.compile import loop
from tinyvae.kernels.scalars import exp, expm1_negative, log1p_unit, tanh

__all__ = [
    "bias_identity_numpy",
    "bias_identity",
    "identity_backward_numpy",
    "identity_backward",
    "bias_tanh_numpy",
    "bias_tanh",
    "tanh_backward_numpy",
    "tanh_backward",
    "bias_relu_numpy",
    "bias_relu",
    "relu_backward_numpy",
    "relu_backward",
    "bias_leaky_relu_numpy",
    "bias_leaky_relu",
    "leaky_relu_backward_numpy",
    "leaky_relu_backward",
    "bias_sigmoid_numpy",
    "bias_sigmoid",
    "sigmoid_backward_numpy",
    "sigmoid_backward",
    "bias_softplus_numpy",
    "bias_softplus",
    "softplus_backward_numpy",
    "softplus_backward",
    "bias_elu_numpy",
    "bias_elu",
    "elu_backward_numpy",
    "elu_backward",
    "bias_gelu_numpy",
    "bias_gelu",
    "gelu_backward_numpy",
    "gelu_backward",
    "column_sums_numpy",
    "column_sums",
]

LEAK = 0.01  # the slope of leaky_relu below zero

# --- bias and activation ------------------------------------------------------------------------


def bias_identity_numpy(a, b):
    """a <- a + b. a (B, n), b (n,)."""
    a += b


@loop(bias_identity_numpy)
def bias_identity(a, b):
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[i, j] += b[j]


def identity_backward_numpy(dy, y):
    """Nothing to do: dL/da = dL/dy. dy, y (B, n)."""


@loop(identity_backward_numpy)
def identity_backward(dy, y):
    pass


def bias_tanh_numpy(a, b):
    """a <- tanh(a + b). a (B, n), b (n,)."""
    a += b
    np.tanh(a, out=a)


@loop(bias_tanh_numpy)
def bias_tanh(a, b):
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[i, j] = tanh(a[i, j] + b[j])


def tanh_backward_numpy(dy, y):
    """dy <- dy (1 - y^2). dy, y (B, n)."""
    dy *= 1 - y * y


@loop(tanh_backward_numpy)
def tanh_backward(dy, y):
    one = dy.dtype.type(1)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dy[i, j] *= one - y[i, j] * y[i, j]


def bias_relu_numpy(a, b):
    """a <- max(a + b, 0). a (B, n), b (n,)."""
    a += b
    np.maximum(a, 0, out=a)


@loop(bias_relu_numpy)
def bias_relu(a, b):
    zero = a.dtype.type(0)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            u = a[i, j] + b[j]
            a[i, j] = zero if u < zero else u


def relu_backward_numpy(dy, y):
    """dy <- dy times 1 where y > 0, else 0. dy, y (B, n)."""
    dy *= y > 0


@loop(relu_backward_numpy)
def relu_backward(dy, y):
    one = dy.dtype.type(1)
    zero = dy.dtype.type(0)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dy[i, j] *= one if y[i, j] > zero else zero


def bias_leaky_relu_numpy(a, b):
    """a <- u where u = a + b is not below 0, else LEAK u. a (B, n), b (n,)."""
    a += b
    np.multiply(a, LEAK, out=a, where=a < 0)


@loop(bias_leaky_relu_numpy)
def bias_leaky_relu(a, b):
    zero = a.dtype.type(0)
    leak = a.dtype.type(LEAK)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            u = a[i, j] + b[j]
            a[i, j] = leak * u if u < zero else u


def leaky_relu_backward_numpy(dy, y):
    """dy <- dy times 1 where y > 0, else LEAK. dy, y (B, n)."""
    np.multiply(dy, LEAK, out=dy, where=~(y > 0))


@loop(leaky_relu_backward_numpy)
def leaky_relu_backward(dy, y):
    one = dy.dtype.type(1)
    zero = dy.dtype.type(0)
    leak = dy.dtype.type(LEAK)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dy[i, j] *= one if y[i, j] > zero else leak


def bias_sigmoid_numpy(a, b):
    """a <- 1 / (1 + e^-(a + b)), without overflow. a (B, n), b (n,)."""
    a += b
    e = np.exp(-np.abs(a))
    a[...] = np.where(a > 0, 1, e) / (1 + e)


@loop(bias_sigmoid_numpy)
def bias_sigmoid(a, b):
    one = a.dtype.type(1)
    zero = a.dtype.type(0)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            u = a[i, j] + b[j]
            e = exp(-abs(u))
            a[i, j] = (one if u > zero else e) / (one + e)


def sigmoid_backward_numpy(dy, y):
    """dy <- dy y (1 - y). dy, y (B, n)."""
    dy *= y * (1 - y)


@loop(sigmoid_backward_numpy)
def sigmoid_backward(dy, y):
    one = dy.dtype.type(1)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dy[i, j] *= y[i, j] * (one - y[i, j])


def bias_softplus_numpy(a, b):
    """a <- log(1 + e^(a + b)), without overflow. a (B, n), b (n,)."""
    a += b
    a[...] = np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a)))


@loop(bias_softplus_numpy)
def bias_softplus(a, b):
    zero = a.dtype.type(0)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            u = a[i, j] + b[j]
            a[i, j] = (zero if u < zero else u) + log1p_unit(exp(-abs(u)))


def softplus_backward_numpy(dy, y):
    """dy <- dy (1 - e^-y), the sigmoid of a from y = log(1 + e^a). dy, y (B, n)."""
    dy *= -np.expm1(-y)


@loop(softplus_backward_numpy)
def softplus_backward(dy, y):
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dy[i, j] *= -expm1_negative(-y[i, j])


def bias_elu_numpy(a, b):
    """a <- u where u = a + b is not below 0, else e^u - 1. a (B, n), b (n,)."""
    a += b
    a[...] = np.where(a < 0, np.expm1(np.minimum(a, 0)), a)


@loop(bias_elu_numpy)
def bias_elu(a, b):
    zero = a.dtype.type(0)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            u = a[i, j] + b[j]
            a[i, j] = expm1_negative(u if u < zero else zero) if u < zero else u


def elu_backward_numpy(dy, y):
    """dy <- dy times y + 1 where y < 0, else 1. dy, y (B, n)."""
    dy *= np.where(y < 0, y + 1, 1).astype(dy.dtype, copy=False)


@loop(elu_backward_numpy)
def elu_backward(dy, y):
    one = dy.dtype.type(1)
    zero = dy.dtype.type(0)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dy[i, j] *= y[i, j] + one if y[i, j] < zero else one


def bias_gelu_numpy(a, b):
    """a <- u Phi(u), with u = a + b and Phi the standard normal distribution function. a (B, n), b (n,)."""
    from scipy.special import erf

    a += b
    a *= 0.5 * (1 + erf(a * math.sqrt(0.5)))


@loop(bias_gelu_numpy)
def bias_gelu(a, b):
    one = a.dtype.type(1)
    half = a.dtype.type(0.5)
    root = a.dtype.type(math.sqrt(0.5))
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            u = a[i, j] + b[j]
            a[i, j] = half * u * (one + math.erf(u * root))


def gelu_backward_numpy(dy, a):
    """dy <- dy (Phi(a) + a phi(a)), from the value a before the activation. dy, a (B, n)."""
    from scipy.special import erf

    density = np.exp(-0.5 * a * a) * (1 / math.sqrt(2 * math.pi))
    dy *= 0.5 * (1 + erf(a * math.sqrt(0.5))) + a * density


@loop(gelu_backward_numpy)
def gelu_backward(dy, a):
    one = dy.dtype.type(1)
    half = dy.dtype.type(0.5)
    root = dy.dtype.type(math.sqrt(0.5))
    norm = dy.dtype.type(1 / math.sqrt(2 * math.pi))
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            u = a[i, j]
            density = exp(-half * u * u) * norm
            dy[i, j] *= half * (one + math.erf(u * root)) + u * density


# --- bias gradient ------------------------------------------------------------------------------


def column_sums_numpy(delta, out):
    """out_j = sum_i delta_ij. delta (B, n), out (n,)."""
    delta.sum(axis=0, out=out)


@loop(column_sums_numpy)
def column_sums(delta, out):
    out[:] = 0
    for i in range(delta.shape[0]):
        for j in range(delta.shape[1]):
            out[j] += delta[i, j]
