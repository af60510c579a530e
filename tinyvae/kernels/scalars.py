"""Scalar functions for use inside the compiled loops.

In float64 they are the C library's. In float32 they are polynomials, because LLVM turns those, and not calls to the C
library, into vector instructions. The minimax coefficients come from Lawson's iteration on Chebyshev nodes;
tests/test_kernels.py states the largest errors.
"""

import math

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

__all__ = [
    "exp",
    "expm1_negative",
    "log1p_unit",
    "log",
    "tanh",
    "exp_float32",
    "expm1_float32",
    "log1p_float32",
    "log_float32",
    "tanh_float32",
]

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
def log_float32(x):
    """n ln 2 + r - r^2 / 2 + r^3 P(r), with x = 2^n (1 + r) a normal number above 0, and infinity; 1 ulp."""
    bits = np.float32(x).view(np.int32)
    n = (bits - np.int32(0x3F3504F3)) >> np.int32(23)  # so that 1 + r is between the roots of 1/2 and 2
    r = np.int32(bits - (n << np.int32(23))).view(np.float32) - f(1.0)
    p = f(0.0703768363) * r + f(-0.115146103)
    p = p * r + f(0.11676998740)
    p = p * r + f(-0.12420140846)
    p = p * r + f(0.14249322787)
    p = p * r + f(-0.16668057665)
    p = p * r + f(0.20000714765)
    p = p * r + f(-0.24999993993)
    p = p * r + f(0.33333331174)
    k, u = f(n), r * r
    y = r * u * p + k * f(-2.12194440e-4) - f(0.5) * u
    y = r + y + k * f(0.693359375)
    return y if x < f(np.inf) else x


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


def log(x):
    """log x for a normal number x above 0, for use inside a compiled loop."""


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


@overload(log)
def _log(x):
    return (lambda x: log_float32(x)) if x == types.float32 else (lambda x: math.log(x))


@overload(tanh)
def _tanh(x):
    return (lambda x: tanh_float32(x)) if x == types.float32 else (lambda x: math.tanh(x))
