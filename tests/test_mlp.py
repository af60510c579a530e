import copy
import math
import pickle

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.mlp import ACTIVATIONS, count_parameters, glorot, he

KINKED = ("relu", "leaky_relu", "elu")
HIDDEN = [(), (4,), (4, 3), (4, 3, 5)]


def make(sizes, activation="tanh", dtype="float64", seed=0, **options):
    """An MLP whose biases are not zero."""
    mlp = tv.MLP(sizes, activation, dtype, rng=np.random.default_rng(seed), **options)
    rng = np.random.default_rng(seed + 1)
    for name, view in mlp.params.items():
        if name.startswith("b"):
            view[:] = 0.5 * rng.standard_normal(view.shape)
    return mlp


def nearest_kink(mlp, x):
    """The smallest |x W + b| of any hidden unit, by hand for the kinked activations."""
    act = {
        "relu": lambda a: np.maximum(a, 0),
        "leaky_relu": lambda a: np.where(a > 0, a, 0.01 * a),
        "elu": lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0))),
    }[mlp.activation]
    nearest = np.inf
    for layer in range(mlp.n_layers - 1):
        a = x @ mlp.params[f"W{layer}"] + mlp.params[f"b{layer}"]
        nearest = min(nearest, np.abs(a).min())
        x = act(a)
    return nearest


def off_by(analytic, numeric):
    """The error relative to the gradient's norm."""
    return np.linalg.norm(analytic - numeric) / np.linalg.norm(numeric)


# --- forward --------------------------------------------------------------------------------------

FORMULAS = {
    "identity": lambda a: a,
    "tanh": np.tanh,
    "relu": lambda a: a * (a > 0),
    "leaky_relu": lambda a: np.where(a > 0, a, 0.01 * a),
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "softplus": lambda a: np.log(1 + np.exp(a)),
    "elu": lambda a: np.where(a > 0, a, np.exp(a) - 1),
    "gelu": lambda a: a * np.vectorize(math.erfc)(-a / np.sqrt(2)) / 2,
}


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-13), ("float32", 1e-5)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_forward_is_the_textbook_formula(activation, dtype, tolerance):
    mlp = make((3, 4, 2), activation, dtype)
    x = np.random.default_rng(2).standard_normal((5, 3)).astype(dtype)
    y, _ = mlp.forward(x)
    p = mlp.params
    assert y.dtype == dtype
    np.testing.assert_allclose(
        y, FORMULAS[activation](x @ p["W0"] + p["b0"]) @ p["W1"] + p["b1"], rtol=0, atol=tolerance
    )


def test_every_activation_of_the_contract_is_there():
    assert set(ACTIVATIONS) == set(FORMULAS)


def test_the_last_layer_is_linear():
    mlp = make((3, 2), "sigmoid")
    x = np.eye(3)
    np.testing.assert_allclose(mlp.forward(x)[0], mlp.params["W0"] + mlp.params["b0"], rtol=0, atol=1e-15)


# --- backward -------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backward_agrees_with_central_differences(activation, hidden, numeric_gradient):
    mlp = make((3, *hidden, 2), activation)
    rng = np.random.default_rng(3)
    x, direction = rng.standard_normal((2, 3)), rng.standard_normal((2, 2))
    if activation in KINKED:
        assert nearest_kink(mlp, x) > 1e-3  # central differences step by 1e-5

    def loss():
        return (mlp.forward(x)[0] * direction).sum()

    dx, grads = mlp.backward(mlp.forward(x)[1], direction)
    assert list(grads) == list(mlp.params) and all(grads[name].shape == mlp.params[name].shape for name in grads)
    flat = np.concatenate([grads[name].ravel() for name in mlp.params])
    assert off_by(flat, numeric_gradient(loss, mlp.theta)) < 1e-7
    assert off_by(dx, numeric_gradient(loss, x)) < 1e-7


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backward_in_float32_agrees_with_float64(activation):
    double, single = make((3, 4, 4, 2), activation), make((3, 4, 4, 2), activation, "float32")
    single.theta[:] = double.theta
    rng = np.random.default_rng(3)
    x, dy = rng.standard_normal((2, 3)), rng.standard_normal((2, 2))
    dx, grads = double.backward(double.forward(x)[1], dy)
    dx32, grads32 = single.backward(single.forward(x.astype("float32"))[1], dy.astype("float32"))
    assert dx32.dtype == np.float32 and off_by(dx32, dx) < 1e-5
    for name in grads:
        assert grads32[name].dtype == np.float32 and off_by(grads32[name], grads[name]) < 1e-5


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backward_leaves_its_arguments_and_forward_leaves_x(activation):
    mlp = make((3, 4, 4, 2), activation)
    rng = np.random.default_rng(3)
    x, dy = rng.standard_normal((2, 3)), rng.standard_normal((2, 2))
    x_before, dy_before, theta_before = x.copy(), dy.copy(), mlp.theta.copy()
    _, cache = mlp.forward(x)
    dx, grads = mlp.backward(cache, dy)
    again_dx, again = mlp.backward(cache, dy)
    for mine, before in ((x, x_before), (dy, dy_before), (mlp.theta, theta_before), (again_dx, dx)):
        np.testing.assert_array_equal(mine, before)
    for name in grads:
        np.testing.assert_array_equal(again[name], grads[name])


def test_weighted_rows_give_the_gradient_of_the_weighted_loss():
    mlp = make((3, 4, 2))
    rng = np.random.default_rng(3)
    x, dy, weights = rng.standard_normal((5, 3)), rng.standard_normal((5, 2)), rng.random(5)
    _, cache = mlp.forward(x)
    _, expected = mlp.backward(cache, weights[:, None] * dy)
    grads = np.empty_like(mlp.theta)
    mlp.weight_gradients(cache, dy, mlp.deltas(cache, dy), grads, weights)
    for name, view in mlp.views(grads).items():
        np.testing.assert_allclose(view, expected[name], rtol=0, atol=1e-14)


def test_hidden_layers_are_views_of_what_lies_one_behind_the_other():
    mlp, x = make((3, 4, 5, 2)), np.ones((6, 3))
    y, cache = mlp.forward(x)
    first, second = mlp.hidden_layers(cache.hidden)
    assert np.shares_memory(second, cache.hidden)
    np.testing.assert_allclose(first, np.tanh(x @ mlp.params["W0"] + mlp.params["b0"]), rtol=0, atol=1e-14)
    np.testing.assert_allclose(second @ mlp.params["W2"] + mlp.params["b2"], y, rtol=0, atol=1e-14)
    assert make((3, 2)).hidden_layers(np.empty(0)) == []


def test_no_rows_give_no_output_and_zero_gradients():
    mlp = make((3, 4, 2))
    y, cache = mlp.forward(np.empty((0, 3)))
    dx, grads = mlp.backward(cache, np.empty((0, 2)))
    assert y.shape == (0, 2) and dx.shape == (0, 3)
    assert all((grad == 0).all() for grad in grads.values())


# --- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_params_are_views_that_fill_theta_in_order(dtype):
    mlp = tv.MLP((3, 4, 2), dtype=dtype, rng=np.random.default_rng(0))
    assert mlp.theta.shape == (3 * 4 + 4 + 4 * 2 + 2,) == (count_parameters((3, 4, 2)),)
    assert {name: view.shape for name, view in mlp.params.items()} == {
        "W0": (3, 4),
        "b0": (4,),
        "W1": (4, 2),
        "b1": (2,),
    }
    mlp.theta[:] = np.arange(len(mlp.theta))
    np.testing.assert_array_equal(
        np.concatenate([view.ravel() for view in mlp.params.values()]), np.arange(len(mlp.theta))
    )
    mlp.params["b0"][:] = -1
    assert (mlp.theta == -1).sum() == 4
    assert mlp.theta.dtype == dtype


def test_the_same_generator_state_gives_the_same_weights_in_either_precision():
    single, double = (tv.MLP((3, 4, 2), dtype=dtype, rng=np.random.default_rng(5)) for dtype in ("float32", "float64"))
    np.testing.assert_array_equal(single.theta, double.theta.astype(np.float32))


# The variance of n weights has the standard error sqrt((kurtosis - 1) / n) of its value: kurtosis 9/5
# for the uniform, 3 for the normal. Three numbers are tested, at 4.5 standard errors: a right
# initialiser fails once in 50,000. A variance of 2 / n_in in place of 2 / (n_in + n_out), or a factor
# 1.1, is over 20 standard errors off.
@pytest.mark.parametrize("draw, variance, kurtosis", [(glorot, 2 / 500, 9 / 5), (he, 2 / 300, 3)])
def test_initial_weights_have_the_variance_of_the_papers(draw, variance, kurtosis):
    W = draw(np.random.default_rng(0), 300, 200)
    assert W.shape == (300, 200)
    assert abs(W.mean()) < 4.5 * np.sqrt(variance / W.size)
    assert abs(W.var() / variance - 1) < 4.5 * np.sqrt((kurtosis - 1) / W.size)


def test_glorot_is_uniform_within_its_bound():
    W = glorot(np.random.default_rng(0), 300, 200)
    bound = np.sqrt(6 / 500)
    assert np.abs(W).max() < bound and np.abs(W).max() > 0.999 * bound


@pytest.mark.parametrize(
    "activation, init, hidden_variance, last_variance",
    [
        ("tanh", None, 2 / 500, 2 / 220),  # Glorot everywhere
        ("relu", None, 2 / 300, 2 / 220),  # He in the hidden layers, Glorot in the linear one
        ("gelu", None, 2 / 300, 2 / 220),
        ("tanh", "he", 2 / 300, 2 / 200),  # what is asked for, everywhere
        ("relu", "glorot", 2 / 500, 2 / 220),
    ],
)
def test_an_mlp_draws_each_layer_by_the_rule_for_its_activation(activation, init, hidden_variance, last_variance):
    mlp = tv.MLP((300, 200, 20), activation, rng=np.random.default_rng(0), init=init)
    for name, variance in (("W0", hidden_variance), ("W1", last_variance)):
        W = mlp.params[name]
        assert abs(W.var() / variance - 1) < 4.5 * np.sqrt(2 / W.size)
    assert not mlp.params["b0"].any() and not mlp.params["b1"].any()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda mlp: pickle.loads(pickle.dumps(mlp))])
def test_a_copy_computes_with_its_own_theta(duplicate):
    mlp, x = tv.MLP((3, 4, 2), dtype="float64", rng=np.random.default_rng(0)), np.ones((1, 3))
    twin, before = duplicate(mlp), mlp.forward(x)[0]
    twin.theta *= 2
    assert all(np.shares_memory(view, twin.theta) for view in twin.params.values())
    assert (twin.forward(x)[0] != before).all()
    shares = duplicate is copy.copy  # a shallow copy is the same network
    np.testing.assert_array_equal(mlp.forward(x)[0], twin.forward(x)[0] if shares else before)
    mlp.theta = np.zeros(mlp.n_params)
    assert not mlp.forward(x)[0].any()
