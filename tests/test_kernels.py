import ast
import importlib
import inspect
import os
import pkgutil
import runpy
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numba
import numpy as np
import pytest
import scipy.special
from numba.core.dispatcher import Dispatcher

import tinyvae
import tinyvae.kernels
from tinyvae.kernels import compile, continuous_bernoulli, data, gaussian_pixels, scalars

MODULES = [importlib.import_module(f"tinyvae.kernels.{m.name}") for m in pkgutil.iter_modules(tinyvae.kernels.__path__)]
DTYPES = [np.float32, np.float64]


def compiled_loops(module):
    """The functions of a module under the decorator `loop`, each with the function above it, as syntax trees."""
    functions = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.FunctionDef)]
    for above, function in zip([None, *functions], functions):
        for decorator in function.decorator_list:
            if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "loop":
                yield above, function, decorator.args[0]


# --- the pairing ----------------------------------------------------------------------------------

LOOPS = {
    function.name: (module, above, function, twin)
    for module in MODULES
    for above, function, twin in compiled_loops(module)
}


# Whole passes are compared in test_passes.py; a call and its service, which have no twin, in test_team.py.
ROOMS = "passes", "first_layer", "units"
PASSES = {name for name, (module, *_) in LOOPS.items() if module.__name__.split(".")[-1] in ROOMS}
CALLS = {"lead", "serve"}


@pytest.mark.parametrize("name", LOOPS)
def test_each_loop_stands_below_its_twin_and_takes_the_same_arguments(name):
    module, above, function, twin = LOOPS[name]
    assert twin.id == f"{name}_numpy"
    assert above is not None and above.name == twin.id, f"{name} must stand directly below {twin.id}"
    if name not in PASSES:
        assert ast.unparse(above.args) == ast.unparse(function.args)
        return
    assert ast.unparse(function.args) == "team, base, arguments, like"
    words = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "arguments"
    ]
    assert {node.slice.value for node in words} - {0} == set(range(1, len(above.args.args) + 1))


def test_nothing_is_compiled_but_loops_with_a_twin():
    dispatchers = {name for module in MODULES for name, value in vars(module).items() if isinstance(value, Dispatcher)}
    assert dispatchers <= set(LOOPS), "compile with @loop(twin), so that the kernel has a twin"
    assert compile.USE_NUMPY or dispatchers == set(LOOPS)


def test_every_pair_is_compared_below():
    assert set(LOOPS) - PASSES - CALLS == set(PAIRS), "give a new kernel its arguments in PAIRS"


# --- each pair gives the same ---------------------------------------------------------------------
# A pair's entry makes the arguments from `draw(*shape)`. `scale` gives, for an argument that is
# written (by its index), the size of what was added up in it: rounding is relative to that, not to
# what is left after a cancellation. Without it, the result's own size.


def dense_pair(restrict=lambda y: y, scale=None):
    """A layer's backward: dy and what the activation saved, which lies where the activation can put it."""
    return (lambda draw, B, n: [draw(B, n), restrict(draw(B, n))]), scale


def bias_pair(scale=None):
    return (lambda draw, B, n: [draw(B, n), draw(n)]), scale


def bernoulli_pair(scale=None):
    def arguments(draw, B, n):
        return [draw(3 * B, n), np.clip(draw(B, n), 0, 1), np.full(3 * B, -7, draw.dtype)]

    return arguments, scale


def pixels_pair(numbers=None, scale=None, outputs=1, mean=lambda o: o):
    """Outputs, pixels that serve three samples, the loss; and, where there are some, the likelihood's numbers."""

    def arguments(draw, B, n):
        made = [draw(3 * B, outputs * n), draw(B, n), np.full(3 * B, -7, draw.dtype)]
        return made + ([] if numbers is None else [numbers(draw, n)])

    def scales(o, x, loss, *numbers):
        o = o.astype("float64")
        off = np.abs(mean(o[:, : x.shape[1]])) + np.abs(np.resize(x, (len(o), x.shape[1])).astype("float64"))
        sizes = scale(o, off, *(a.astype("float64") for a in numbers))
        # Infinite where the loop's terms are.
        return {i: np.nan_to_num(size.astype(loss.dtype), nan=np.inf, posinf=np.inf) for i, size in sizes.items()}

    return arguments, scales


def precisions(draw, n):
    """1 / v and log(2 pi v) / 2, of variances that no square overflows."""
    v = np.clip(np.abs(draw(n)), 1e-3, 1e3)
    return np.concatenate([1 / v, 0.5 * np.log(2 * np.pi * v)]).astype(draw.dtype)


def shared_scale(o, off, numbers):
    n = off.shape[1]
    return {0: off * numbers[:n], 2: (off * numbers[:n] * off + np.abs(numbers[n:])).sum(axis=1)}


def per_pixel_scale(o, off, numbers):
    log_v, precision, _ = gaussian_pixels.floored_numpy(o[:, off.shape[1] :], numbers[0])
    # A rounding of the log-variance is one of the precision, as often as the log-variance is large.
    size = 2 + np.abs(o[:, off.shape[1] :]) + abs(numbers[0])
    terms = off * precision * off * size
    return {0: np.concatenate([off * precision * size, terms + 1], axis=1), 2: (terms + np.abs(log_v) + 2).sum(axis=1)}


def log_floor(draw, n):
    return np.full(1, -4, draw.dtype)


def variance_slope_arguments(draw, B, n):
    return [draw(B, n), draw(B, n), draw(B), precisions(draw, n), np.full(n, -7, draw.dtype)]


def variance_slope_scale(mean, x, weights, numbers, out):
    off = np.abs(mean).astype("float64") + np.abs(x)
    return {4: (np.abs(weights).astype("float64") @ (1 + off * numbers[: len(out)] * off)).astype(out.dtype)}


def categorical_pair(scale):
    def arguments(draw, B, n):
        x = draw.rng.integers(0, 4, (B, n)).astype(draw.dtype) / 3
        return [draw(3 * B, 4 * n), x, np.full(3 * B, -7, draw.dtype)]

    return arguments, scale


def categorical_scale(outputs, x, loss):
    return {0: np.ones_like(outputs), 2: np.abs(outputs).sum(axis=1, dtype="float64") + 2 * x.shape[1]}


def continuous_bernoulli_scale(logits, x, loss):
    m = np.abs(logits.astype("float64"))
    c = np.where(logits > 0, 1 - np.resize(x, m.shape), np.resize(x, m.shape))
    return {0: np.ones_like(logits), 2: (m * c + np.abs(continuous_bernoulli.log_normaliser_numpy(m)) + 1).sum(axis=1)}


def gaussian_pair(kind, scale=None):
    """[mu, logvar], std, then what the kernel reads besides, then what it writes."""

    def arguments(draw, B, n):
        params, std, z = draw(B, 2 * n), np.abs(draw(B, n)), draw(3, B, n)
        empty = {
            "like z": (3, B, n),
            "a sample": (3, B),
            "a score": (3, B, 2 * n),
            "a row": (B,),
            "a row's score": (B, 2 * n),
        }
        out = np.full(empty[kind], -7, draw.dtype)
        return [params, std, out] if "row" in kind else [params, std, z, out]

    return arguments, scale


def halves(params):
    n = params.shape[1] // 2
    return params[:, :n], params[:, n:]


def log_density_scale(params, std, z, out):
    mu, logvar = halves(params)
    size = (np.abs(z) + np.abs(mu)) / std  # of (z - mu) / std
    return {3: (size * size + z * z + np.abs(logvar) + 2).sum(axis=2)}


def score_scale(params, std, z, out):
    size = (np.abs(z) + np.abs(halves(params)[0])) / std
    return {3: np.concatenate([size / std, size * size + 1], axis=2)}


def kl_scale(params, std, out):
    mu, logvar = halves(params)
    return {2: (std * std + mu * mu + 1 + np.abs(logvar)).sum(axis=1)}


def batch_gradient_arguments(draw, B, n):
    return [
        draw(3, B, 2 * n),
        draw(B, 2 * n),
        np.abs(draw(B, n)),
        np.full((B, 2 * n), 0.5),
        np.full((B, 2 * n), -7, draw.dtype),
    ]


def batch_gradient_scale(dparams, params, std, shares, out):
    kl = np.concatenate([np.abs(halves(params)[0]), std * std + 1], axis=1)
    return {4: np.abs(dparams).sum(axis=0) + kl}


def path_arguments(draw, B, n):
    return [np.abs(draw(B, n)), draw(3, B, n), draw(3, B, n), np.full((3, B, 2 * n), -7, draw.dtype)]


def sgd_arguments(draw, B, n):
    return [draw(B * n), draw(B * n), draw(B * n), 0.1, 0.9]


def sgd_scale(theta, grad, velocity, rate, momentum):
    moved = momentum * np.abs(velocity) + np.abs(grad)
    return {0: np.abs(theta) + rate * moved, 2: moved}


def adam_arguments(draw, B, n):
    return [draw(B * n), draw(B * n), draw(B * n), np.abs(draw(B * n)), 0.01, 0.9, 0.999, 5.0, 1e-8]


def adam_scale(theta, grad, m, v, rate, beta1, beta2, correction, epsilon):
    mean = np.abs(m) + 0.1 * np.abs(grad)
    square = 0.999 * v + 0.001 * grad * grad
    return {0: np.abs(theta) + rate * mean / (np.sqrt(square) * correction + epsilon), 2: mean, 3: v + square}


def unit(y):
    return np.clip(y, 0, 1)


def gather_arguments(draw, B, n):
    return [draw(B, n), np.repeat(np.arange(B)[::-1], 2), np.full((2 * B, n), -7, draw.dtype)]


def moments_arguments(draw, B, n):
    return [draw(B * n), draw(B * n), np.abs(draw(B * n)), np.full(2, -7.0), 3]


def moments_scale(g, mean, sums, totals, r):
    u, total = np.abs(g) + np.abs(mean), np.float64
    squares = np.array([(u * u).sum(), (u * np.abs(mean)).sum()], total)
    return {1: u, 2: sums + u * u, 3: len(g) * squares}


def contrasts_arguments(draw, B, n):
    return [draw(B, n), draw(n), 3, np.full((B, n), -7, draw.dtype), np.full((B, n), -7, draw.dtype)]


def contrasts_scale(g, mean, n, u, before):
    sizes = np.cumsum(np.concatenate([np.abs(mean)[None], np.abs(g)]), axis=0)  # of what the mean after each is made of
    return {1: sizes[-1], 3: sizes[1:], 4: sizes[:-1]}


def open_unit(x):
    return np.clip(1 - 1 / (1 + np.abs(x)), 1e-6, 1 - 1e-6).astype(x.dtype)


def odds_arguments(draw, B, n):
    return [draw(B, n), open_unit(draw(3, B, n)), np.full((3, B, n), -7, draw.dtype)]


def given_path_arguments(draw, B, n):
    p = open_unit(draw(B, n))
    return [p, 1 - p, draw(3, B, n), open_unit(draw(3, B, n)), np.full((3, B, n), -7, draw.dtype)]


def given_path_scale(probs, zero, dodds, eps, out):
    return {4: np.abs(dodds) * (1 + np.where(eps > zero, zero / eps, probs / (1 - eps)))}


def binary_gradient_arguments(draw, B, n):
    p = open_unit(draw(B, n))
    return [draw(3, B, n), draw(B, n), p, 1 - p, draw(n), np.full((B, n), 0.5), np.full((B, n), -7, draw.dtype)]


def binary_gradient_scale(dparams, logits, probs, zero, own, shares, out):
    return {6: np.abs(dparams).sum(axis=0) + np.abs(logits) + np.abs(own)}


PAIRS = {
    "all_finite": ((lambda draw, B, n: [draw(B * n)]), None),
    "only_bits": ((lambda draw, B, n: [draw(B * n)]), None),
    "same": ((lambda draw, B, n: [draw(B * n)] * 2), None),
    "gather": (gather_arguments, None),
    "bias_identity": bias_pair(),
    "bias_tanh": bias_pair(),
    "bias_relu": bias_pair(),
    "bias_leaky_relu": bias_pair(),
    "bias_sigmoid": bias_pair(),
    "bias_softplus": bias_pair(),
    "bias_elu": bias_pair(),
    "bias_gelu": bias_pair(lambda a, b: {0: np.abs(a + b)}),  # 1 + erf cancels
    "identity_backward": dense_pair(),
    "tanh_backward": dense_pair(lambda y: np.clip(y, -1, 1), lambda dy, y: {0: np.abs(dy)}),
    "relu_backward": dense_pair(),
    "leaky_relu_backward": dense_pair(),
    "sigmoid_backward": dense_pair(unit),
    "softplus_backward": dense_pair(np.abs),
    "elu_backward": dense_pair(lambda y: np.maximum(y, -1)),
    "gelu_backward": dense_pair(scale=lambda dy, a: {0: np.abs(dy) * (1 + np.abs(a * np.exp(-a * a / 2)))}),
    "column_sums": (
        (lambda draw, B, n: [draw(B, n), np.full(n, -7, draw.dtype)]),
        lambda d, out: {1: np.abs(d).sum(axis=0)},
    ),
    "bernoulli_loss": bernoulli_pair(),
    "bernoulli_loss_and_slope": bernoulli_pair(lambda logits, x, loss: {0: np.ones_like(logits)}),
    "continuous_bernoulli_loss": bernoulli_pair(continuous_bernoulli_scale),
    "continuous_bernoulli_loss_and_slope": bernoulli_pair(continuous_bernoulli_scale),
    "categorical_loss": categorical_pair(categorical_scale),
    "categorical_loss_and_slope": categorical_pair(categorical_scale),
    "squared_error": pixels_pair(scale=lambda o, off: {2: (off * off).sum(axis=1)}),
    "squared_error_and_slope": pixels_pair(scale=lambda o, off: {0: 2 * off, 2: (off * off).sum(axis=1)}),
    "gaussian_loss": pixels_pair(precisions, shared_scale),
    "gaussian_loss_and_slope": pixels_pair(precisions, shared_scale),
    "gaussian_sigmoid_loss_and_slope": pixels_pair(precisions, shared_scale, mean=scipy.special.expit),
    "gaussian_variance_slope": (variance_slope_arguments, variance_slope_scale),
    "per_pixel_loss": pixels_pair(log_floor, per_pixel_scale, 2),
    "per_pixel_loss_and_slope": pixels_pair(log_floor, per_pixel_scale, 2),
    "per_pixel_sigmoid_loss_and_slope": pixels_pair(log_floor, per_pixel_scale, 2, scipy.special.expit),
    "gaussian_sample": gaussian_pair("like z", lambda p, std, eps, z: {3: np.abs(halves(p)[0]) + np.abs(std * eps)}),
    "gaussian_log_prob": gaussian_pair("a sample", log_density_scale),
    "gaussian_log_ratio": gaussian_pair("a sample", log_density_scale),
    "gaussian_score": gaussian_pair("a score", score_scale),
    "gaussian_path": (path_arguments, None),
    "gaussian_kl": gaussian_pair("a row", kl_scale),
    "gaussian_kl_grad": gaussian_pair(
        "a row's score", lambda p, std, out: {2: np.concatenate([np.abs(halves(p)[0]), std * std + 1], axis=1)}
    ),
    "gaussian_batch_gradient": (batch_gradient_arguments, batch_gradient_scale),
    "sigmoid": ((lambda draw, B, n: [draw(B * n), np.full(B * n, -7, draw.dtype)]), None),
    "softplus": ((lambda draw, B, n: [draw(B * n), np.full(B * n, -7, draw.dtype)]), None),
    "binary_odds": (odds_arguments, lambda logits, eps, out: {2: np.abs(logits) - np.log(eps) - np.log1p(-eps)}),
    "binary_given_path": (given_path_arguments, given_path_scale),
    "binary_batch_gradient": (binary_gradient_arguments, binary_gradient_scale),
    "contrasts": (contrasts_arguments, contrasts_scale),
    "add_replicate": (moments_arguments, moments_scale),
    "sgd": (sgd_arguments, sgd_scale),
    "adam": (adam_arguments, adam_scale),
}


class Draw:
    """draw(*shape): an array of the dtype, from numpy.random or out of a list of values."""

    def __init__(self, dtype, values=None, seed=0):
        self.dtype, self.values, self.rng = np.dtype(dtype), values, np.random.default_rng(seed)

    def __call__(self, *shape):
        drawn = 3 * self.rng.standard_normal(shape) if self.values is None else self.rng.choice(self.values, shape)
        return drawn.astype(self.dtype)


def both(name, draw, B, n):
    """The arguments after the loop and after the twin, and the scales of what was written."""
    make, scale = PAIRS[name]
    before = make(draw, B, n)
    by_loop, by_twin = ([np.copy(a) if isinstance(a, np.ndarray) else a for a in before] for _ in range(2))
    module = LOOPS[name][0]
    with np.errstate(all="ignore"):
        assert getattr(module, name)(*by_loop) == getattr(module, f"{name}_numpy")(*by_twin)
        scales = scale(*before) if scale else {}
    return by_loop, by_twin, scales


def assert_same(name, draw, B, n, ulps=16):
    """The loop leaves what the twin leaves, up to `ulps` of rounding; not-finite results are the same ones.

    Only where terms overflow before they cancel does the order decide between inf and inf - inf = NaN.
    """
    by_loop, by_twin, scales = both(name, draw, B, n)
    for i, (mine, twins) in enumerate(zip(by_loop, by_twin)):
        if not isinstance(mine, np.ndarray):
            continue
        assert mine.dtype == twins.dtype and mine.shape == twins.shape
        finite = np.isfinite(twins)
        size = np.broadcast_to(scales.get(i, np.abs(twins)), twins.shape)
        overflow = ~finite & np.isinf(size) if i in scales else np.zeros_like(finite)
        assert not np.isfinite(mine[overflow]).any()
        np.testing.assert_array_equal(mine[~finite & ~overflow], twins[~finite & ~overflow])
        # The smallest normal number: below it float32's exp has fewer digits.
        allowed = ulps * np.finfo(draw.dtype).eps * size[finite].astype(np.float64) + 4 * np.finfo(draw.dtype).tiny
        error = np.abs(mine[finite].astype(np.float64) - twins[finite])
        assert (error <= allowed).all(), (
            f"{name}, argument {i}: {(error / allowed).max():.3g} times what rounding allows"
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_loop_equals_twin(name, dtype):
    for seed in range(3):
        assert_same(name, Draw(dtype, seed=seed), B=7, n=5)


TINY_AND_HUGE = [sign * 10.0**power for power in (-30, -20, -8, -3, 0, 1, 2, 5, 15) for sign in (-1, 1)] + [0.0, -0.0]
EXTREME = TINY_AND_HUGE + [1e30, -1e30, np.inf, -np.inf]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_loop_equals_twin_at_extreme_inputs(name, dtype):
    for seed in range(3):
        assert_same(name, Draw(dtype, TINY_AND_HUGE, seed), B=200, n=3)
        assert_same(name, Draw(dtype, EXTREME, seed), B=200, n=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_loop_lets_nan_through_where_the_twin_does(name, dtype):
    assert_same(name, Draw(dtype, [np.nan, -1.5, 0.0, 2.0]), B=50, n=1)


@pytest.mark.parametrize("dtype", [*DTYPES, np.uint8, bool])
def test_gather_converts_bits_and_floats(dtype):
    x = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1]], dtype)
    for to in DTYPES:
        out = np.empty((2, 3), to)
        data.gather(x, np.array([2, 0]), out)
        assert out.tolist() == [[0, 0, 1], [0, 1, 1]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_all_finite_sees_one_bad_element_anywhere(value):
    for i in range(70):
        x = np.zeros(70)
        assert data.all_finite(x) is True
        x[i] = value
        assert data.all_finite(x) is False


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("B, n", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("name", PAIRS)
def test_loop_equals_twin_on_empty_arrays(name, B, n, dtype):
    assert_same(name, Draw(dtype), B, n)


# --- float32's own scalar functions ---------------------------------------------------------------
# An ulp is the distance between the float32 numbers at the exact value; NumPy's float64 stands for
# the exact one. Every 1999th float32 number of the range is tried; every 37th gave, once, as the worst:
# exp 1.00005 ulp, expm1 0.939, log1p 1.992, tanh 5.09 (3.04e-7 of the value, just below 1).

EVERY_1999TH = np.arange(1, 0x7F800000, 1999, dtype=np.uint32).view(np.float32)  # all sizes from 1.4e-45 to 3.4e38
BOTH_SIGNS = np.concatenate([-EVERY_1999TH[::-1], EVERY_1999TH])


def mapped(function, x):
    """A scalar function of kernels.scalars, compiled, over x (n,)."""

    @numba.njit(error_model="numpy")
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    out = np.empty_like(x)
    loop(x, out)
    return out


@pytest.mark.parametrize(
    "function, exact, low, high, most",
    [
        (scalars.exp_float32, np.exp, -np.inf, np.inf, 1.001),
        (scalars.expm1_float32, np.expm1, -np.inf, 0, 0.95),
        (scalars.log1p_float32, np.log1p, 0, 1, 2.0),
        (scalars.tanh_float32, np.tanh, -np.inf, np.inf, 5.2),
        (scalars.log_float32, np.log, 1.2e-38, np.inf, 1.001),
    ],
)
def test_float32_function_is_within_so_many_ulps(function, exact, low, high, most):
    x = BOTH_SIGNS[(BOTH_SIGNS >= low) & (BOTH_SIGNS <= high)]
    assert len(x) > 5e5
    with np.errstate(over="ignore"):
        value = exact(x.astype(np.float64))
        nearest = value.astype(np.float32)
    mine, finite = mapped(function, x), np.isfinite(nearest)
    np.testing.assert_array_equal(mine[~finite], nearest[~finite])
    assert (np.abs(mine[finite] - value[finite]) / np.spacing(np.abs(nearest[finite]))).max() < most


def test_float32_tanh_is_within_3_1e_7_of_its_value_and_never_beyond_one():
    x = BOTH_SIGNS
    tanh = np.tanh(x.astype(np.float64))
    mine = mapped(scalars.tanh_float32, x)
    normal = np.abs(x) > np.finfo(np.float32).tiny
    assert np.abs(mine / tanh - 1)[normal].max() < 3.1e-7
    assert np.abs(mine).max() == 1


@pytest.mark.parametrize(
    "function, at, values",
    [
        (scalars.exp_float32, [0.0, -0.0, np.inf, -np.inf, np.nan], [1, 1, np.inf, 0, np.nan]),
        (scalars.expm1_float32, [0.0, -0.0, -np.inf, np.nan], [0, 0, -1, np.nan]),
        (scalars.log1p_float32, [0.0, -0.0, 1.0, np.nan], [0, 0, np.log(2), np.nan]),
        (scalars.tanh_float32, [0.0, -0.0, np.inf, -np.inf, np.nan], [0, 0, 1, -1, np.nan]),
        (scalars.log_float32, [1.0, 2.0, 0.5, np.inf, np.nan], [0, np.log(2), -np.log(2), np.inf, np.nan]),
    ],
)
def test_float32_function_at_special_values(function, at, values):
    np.testing.assert_allclose(mapped(function, np.float32(at)), np.float32(values), rtol=2e-7, atol=0)


# --- switching and caching ------------------------------------------------------------------------


def run(script, **environment):
    """The output of a Python script in a fresh process that finds this package."""
    usual = {"PYTHONPATH": str(Path(tinyvae.__file__).parents[1]), "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], env=os.environ | usual | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("environment", [{"TINYVAE_NUMPY": "1"}, {"TINYVAE_NUMPY": "0", "NUMBA_DISABLE_JIT": "1"}])
def test_tinyvae_numpy_and_numba_disable_jit_switch_every_twin_in(environment):
    script = f"""
import importlib
for module, name in {[(module.__name__, name) for name, (module, *_) in LOOPS.items()]}:
    module = importlib.import_module(module)
    assert getattr(module, name) is getattr(module, name + "_numpy"), name
print("twins")
"""
    assert run(script, **environment) == "twins"


@pytest.mark.parametrize("unset", ["", "0"])
def test_without_tinyvae_numpy_the_loops_are_compiled(unset):
    script = "from tinyvae.kernels import dense; print(dense.bias_tanh is dense.bias_tanh_numpy)"
    assert run(script, TINYVAE_NUMPY=unset) == "False"


def test_numba_disable_jit_gives_the_numbers_of_tinyvae_numpy():
    script = """
import numpy as np, tinyvae as tv
x = np.random.default_rng(0).random((20, 8), dtype="float32")
print(*(record.loss for record in tv.train(tv.VAE(8, 2, (4,)), x, epochs=2, batch_size=10)))
"""
    losses = run(script, NUMBA_DISABLE_JIT="1")
    assert losses == run(script, TINYVAE_NUMPY="1") and np.isfinite(np.array(losses.split(), float)).all()


def test_import_and_first_call_need_no_writable_folder(tmp_path):
    # A regular file stands where each cache folder would be made: permissions would not stop root.
    shutil.copytree(Path(tinyvae.__file__).parent, tmp_path / "tinyvae", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (tmp_path / "tinyvae").rglob("*.py"):
        (file.parent / "__pycache__").touch()
    (tmp_path / "home").touch()
    script = """
import io, sys, numpy as np, tinyvae
from tinyvae.kernels import dense
sys.stderr = io.StringIO()
a = np.ones((1, 1))
dense.bias_identity(a, np.ones(1))
print(tinyvae.__file__, a[0, 0], type(dense.bias_identity._cache).__name__)
print(sys.stderr.getvalue())
"""
    home = str(tmp_path / "home" / "below")
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "IPYTHONDIR"), home)
    found = run(script, PYTHONPATH=str(tmp_path), TINYVAE_NUMPY="0", **nowhere)
    first, announced = found.splitlines()
    assert first == f"{tmp_path / 'tinyvae' / '__init__.py'} 2.0 NullCache"
    assert "compiling the kernels, at each start" in announced


CACHED = """
import numpy as np
from tinyvae.kernels import data, dense
a = np.full((1, 1), 0.5, np.float32)
dense.bias_tanh(a, np.zeros(1, np.float32))
data.all_finite(a.ravel())
print(a[0, 0], *(sum(kernel.stats.cache_hits.values()) for kernel in (dense.bias_tanh, data.all_finite)))
"""


@pytest.fixture
def copied(tmp_path):
    """A copy of the package, and how to run a script with it in a fresh process that caches beside it."""
    folder = tmp_path / "tinyvae"
    shutil.copytree(Path(tinyvae.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {"PYTHONPATH": str(tmp_path), "TINYVAE_NUMPY": "0", "NUMBA_CACHE_DIR": ""}
    return folder, lambda script: run(script, **environment)


@pytest.mark.slow
def test_an_edited_helper_is_compiled_anew_and_only_then(copied):
    folder, run_copy = copied
    tanh = np.tanh(np.float32(0.5))
    first, second = (run_copy(CACHED).split() for _ in range(2))
    assert abs(float(first[0]) - tanh) < 1e-6 and first[1:] == ["0", "0"]  # compiled
    assert second == [first[0], "1", "1"]  # out of the cache
    helper = folder / "kernels" / "scalars.py"
    source = helper.read_text()
    assert source.count("y = x * p / q\n") == 1
    helper.write_text(source.replace("y = x * p / q\n", "y = x * p / q * f(0.5)\n"))
    third, fourth = (run_copy(CACHED).split() for _ in range(2))
    assert abs(float(third[0]) - tanh / 2) < 1e-6 and third[1:] == ["0", "0"]
    assert fourth == [third[0], "1", "1"]
    helper.write_text(source)
    assert run_copy(CACHED).split() == first


@pytest.mark.skipif(compile.USE_NUMPY, reason="nothing is compiled")
def test_a_first_compilation_is_announced_once(tmp_path, capsys):
    (tmp_path / "toy.py").write_text("def nothing(x):\n    pass\n")
    for announced in (1, 0):
        compile._announce.cache_clear()  # as in a new process
        kernel = compile.loop(None)(runpy.run_path(str(tmp_path / "toy.py"))["nothing"])
        kernel(1.0)
        kernel(1)
        assert capsys.readouterr().err.count("First run: compiling the kernels, once") == announced


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_what_a_file_of_the_cache_that_was_cut_short_should_hold_is_compiled_anew(copied, suffix, share):
    folder, run_copy = copied
    first = run_copy(CACHED).split()
    (file,) = (folder / "kernels" / "__pycache__").glob(f"dense.bias_tanh-*.{suffix}")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert run_copy(CACHED).split() == [first[0], "0", "1"]  # the other kernel's is left as it is
    assert run_copy(CACHED).split() == [first[0], "1", "1"]


def test_what_is_not_a_cut_file_is_tried_once():
    tried = []

    def compile_(signature):
        tried.append(signature)
        raise TypeError("does not compile")

    with pytest.raises(TypeError, match="does not compile"):
        compile._again_without_index(compile_, tried.clear)("a signature")
    assert tried == ["a signature"]


def test_only_a_kernels_own_index_is_removed_and_one_that_stays_does_no_harm(tmp_path, monkeypatch):
    def kernel(name):
        def function():
            pass

        function.__qualname__ = name
        stats = types.SimpleNamespace(cache_path=str(tmp_path))
        return types.SimpleNamespace(py_func=function, stats=stats)

    module = Path(__file__).stem
    mine, *others = (f"{module}.{name}" for name in ("f-1.py311.nbi", "f_g-2.py311.nbi", "f-1.py311.1.nbc"))
    for name in (mine, *others, "other.f-1.py311.nbi"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / f"{module}.f-7.py311.nbi").touch()  # newer than the sources
    left = sorted({*os.listdir(tmp_path)} - {mine})
    compile._forget(kernel("f"), compile._old_indexes(str(tmp_path)))
    assert sorted(os.listdir(tmp_path)) == left
    compile._forget(kernel("f"), compile._old_indexes(str(tmp_path)))  # it is gone already
    monkeypatch.setattr(compile.os, "unlink", lambda _: (_ for _ in ()).throw(PermissionError("read-only")))
    compile._forget(kernel("f_g"), compile._old_indexes(str(tmp_path)))
    assert sorted(os.listdir(tmp_path)) == left
    assert compile._old_indexes(str(tmp_path / "nowhere")) == []
