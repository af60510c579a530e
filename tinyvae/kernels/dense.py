"""What surrounds the matrix products of a dense layer: bias and activation, and their backward.

Each compiled loop stands directly below its NumPy twin and takes the same arguments. All work in
place and allocate nothing that grows with the batch. In `bias_*`, `a` is `(B, n)` and holds `x @ W`
on entry and the layer's output `y` on return. In `*_backward`, `dy` is `(B, n)` and holds dL/dy on
entry and dL/da, the gradient before the activation, on return.
"""

import math

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from tinyvae.kernels.compile import loop

LEAK = 0.01  # the slope of leaky_relu below zero

# --- scalar functions ---------------------------------------------------------------------------
# In float64 they are the C library's. In float32 they are polynomials, because LLVM turns those,
# and not calls to the C library, into vector instructions. The minimax coefficients come from
# Lawson's iteration on Chebyshev nodes; tests/test_kernels.py states the largest errors.
# No "reassoc" here: it would undo the two-part ln 2. `f(9) if x > f(9) else x` lets a NaN through,
# `min(x, f(9))` need not.
scalar = register_jitable(fastmath={"contract", "nsz"})
f = np.float32


@scalar
def exp_float32(x):
    """2^n (1 + r + r^2 P(r)), with x = n ln 2 + r and |r| <= ln(2)/2; 1 ulp."""
    x = f(89.0) if x > f(89.0) else x
    x = f(-104.0) if x < f(-104.0) else x
    n = np.floor(x * f(1.44269504) + f(0.5))
    r = x - n * f(0.693359375) + n * f(2.12194440e-4)
    p = f(0.00138144663) * r + f(0.00836878047)
    p = p * r + f(0.0416683942)
    p = p * r + f(0.166665201)
    p = p * r + f(0.499999934)
    p = p * r * r + r + f(1.0)
    k = np.int32(n if n == n else f(0.0))
    half = k >> np.int32(1)  # 2^k in two factors: overflow and underflow come gradually
    low = np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
    high = np.int32((k - half + np.int32(127)) << np.int32(23)).view(np.float32)
    return p * low * high


@scalar
def expm1_float32(x):
    """e^x - 1 for x <= 0: 2^n (r + r^2 P(r)) + (2^n - 1), so that nothing cancels near zero."""
    x = f(-20.0) if x < f(-20.0) else x
    n = np.floor(x * f(1.44269504) + f(0.5))
    r = x - n * f(0.693359375) + n * f(2.12194440e-4)
    p = f(0.00138144663) * r + f(0.00836878047)
    p = p * r + f(0.0416683942)
    p = p * r + f(0.166665201)
    p = p * r + f(0.499999934)
    p = p * r * r + r
    k = np.int32(n if n == n else f(0.0))
    power = np.int32((k + np.int32(127)) << np.int32(23)).view(np.float32)
    return power * p + (power - f(1.0))


@scalar
def log1p_float32(x):
    """log(1 + x) for x in [0, 1], as x P(x); 2 ulp."""
    p = f(0.00523269146) * x + f(-0.0295052275)
    p = p * x + f(0.0782259336)
    p = p * x + f(-0.136632442)
    p = p * x + f(0.191060060)
    p = p * x + f(-0.248429820)
    p = p * x + f(0.333190968)
    p = p * x + f(-0.499994931)
    p = p * x + f(0.999999970)
    return p * x


@scalar
def tanh_float32(x):
    """x P(x^2) / Q(x^2), clamped where tanh rounds to 1; 3.1e-7."""
    x = f(9.02) if x > f(9.02) else x
    x = f(-9.02) if x < f(-9.02) else x
    u = x * x
    p = f(1.33190014e-08) * u + f(2.05834343e-05)
    p = p * u + f(0.00349403197)
    p = p * u + f(0.133797159)
    p = p * u + f(0.999999979)
    q = f(7.76199158e-07) * u + f(0.000328308840)
    q = q * u + f(0.0258710637)
    q = q * u + f(0.467130311)
    q = q * u + f(1.0)
    y = x * p / q
    y = f(1.0) if y > f(1.0) else y
    return f(-1.0) if y < f(-1.0) else y


def exp(x):
    """e^x, for use inside a compiled loop."""


def expm1_negative(x):
    """e^x - 1 for x <= 0, for use inside a compiled loop."""


def log1p_unit(x):
    """log(1 + x) for x in [0, 1], for use inside a compiled loop."""


def tanh(x):
    """tanh x, for use inside a compiled loop."""


@overload(exp)
def _exp(x):
    return (lambda x: exp_float32(x)) if x == types.float32 else (lambda x: math.exp(x))


@overload(expm1_negative)
def _expm1_negative(x):
    return (lambda x: expm1_float32(x)) if x == types.float32 else (lambda x: math.expm1(x))


@overload(log1p_unit)
def _log1p_unit(x):
    return (lambda x: log1p_float32(x)) if x == types.float32 else (lambda x: math.log1p(x))


@overload(tanh)
def _tanh(x):
    return (lambda x: tanh_float32(x)) if x == types.float32 else (lambda x: math.tanh(x))


# --- bias and activation ------------------------------------------------------------------------


def bias_identity_numpy(a, b):
    a += b


@loop(bias_identity_numpy)
def bias_identity(a, b):
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[i, j] += b[j]


def identity_backward(dy, y):
    """Nothing to do: dL/da = dL/dy."""


def bias_tanh_numpy(a, b):
    a += b
    np.tanh(a, out=a)


@loop(bias_tanh_numpy)
def bias_tanh(a, b):
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[i, j] = tanh(a[i, j] + b[j])


def tanh_backward_numpy(dy, y):
    dy *= 1 - y * y


@loop(tanh_backward_numpy)
def tanh_backward(dy, y):
    one = dy.dtype.type(1)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dy[i, j] *= one - y[i, j] * y[i, j]


def bias_relu_numpy(a, b):
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
    dy *= y > 0


@loop(relu_backward_numpy)
def relu_backward(dy, y):
    one = dy.dtype.type(1)
    zero = dy.dtype.type(0)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dy[i, j] *= one if y[i, j] > zero else zero


def bias_leaky_relu_numpy(a, b):
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
    dy *= y * (1 - y)


@loop(sigmoid_backward_numpy)
def sigmoid_backward(dy, y):
    one = dy.dtype.type(1)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dy[i, j] *= y[i, j] * (one - y[i, j])


def bias_softplus_numpy(a, b):
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
    dy *= -np.expm1(-y)  # the sigmoid of a, from y = log(1 + e^a)


@loop(softplus_backward_numpy)
def softplus_backward(dy, y):
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dy[i, j] *= -expm1_negative(-y[i, j])


def bias_elu_numpy(a, b):
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
    dy *= np.where(y < 0, y + 1, 1).astype(dy.dtype, copy=False)


@loop(elu_backward_numpy)
def elu_backward(dy, y):
    one = dy.dtype.type(1)
    zero = dy.dtype.type(0)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dy[i, j] *= y[i, j] + one if y[i, j] < zero else one


def bias_gelu_numpy(a, b):
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
    """out_j = sum_i delta_ij."""
    delta.sum(axis=0, out=out)


@loop(column_sums_numpy)
def column_sums(delta, out):
    out[:] = 0
    for i in range(delta.shape[0]):
        for j in range(delta.shape[1]):
            out[j] += delta[i, j]
