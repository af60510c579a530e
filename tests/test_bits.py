"""A first layer that adds up selected rows gives what the dense product gives, and is used only where it pays."""

import sys

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.kernels import first_layer, passes
from tinyvae.machine import team
from tinyvae.machine.bits import FEW, as_bits, batch_dtype
from tinyvae.mlp import LEAST_UNITS

N_OUT = LEAST_UNITS
SHAPE = (100, 300)


def pixels(share, shape=SHAPE, seed=0):
    return (np.random.default_rng(seed).random(shape) < share).astype("uint8")


@pytest.fixture
def ran(monkeypatch):
    """The passes that run."""
    passes_, run = [], team.run
    monkeypatch.setattr(
        team, "run", lambda dtype, *calls: passes_.extend(pass_ for pass_, *_ in calls) or run(dtype, *calls)
    )
    return passes_


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("share", [0, 0.001, 0.13, 1])
def test_both_products_are_the_dense_ones(share, dtype, ran):
    mlp = tv.MLP((300, N_OUT, 7), dtype=dtype, rng=np.random.default_rng(0))
    mlp.theta += 0.1
    x, dy, found = pixels(share), np.random.default_rng(1).standard_normal((100, 7)).astype(dtype), []
    for batch in (x, x.astype(dtype)):
        y, cache = mlp.propagate(batch)
        grads = np.full_like(mlp.theta, np.nan)
        mlp.weight_gradients(cache, dy, mlp.deltas(cache, dy), grads)
        found.append((y, grads))
    assert ran.count(first_layer.first_forward) == ran.count(first_layer.first_gradient) == 1
    for bits, dense in zip(*found):
        np.testing.assert_allclose(bits, dense, rtol=0, atol=1000 * np.finfo(dtype).eps * np.abs(dense).max())


@pytest.mark.parametrize(
    "x, sizes",
    [
        (pixels(0.13), (300, LEAST_UNITS - 1, 2)),
        (pixels(0.13), (300, LEAST_UNITS)),
        (pixels(0.13).astype("float32"), (300, LEAST_UNITS, 2)),
        (pixels(0.13).astype("float64"), (300, LEAST_UNITS, 2)),
    ],
    ids=["few units", "no hidden layer", "float32", "float64"],
)
def test_otherwise_the_input_is_multiplied(x, sizes, ran):
    mlp = tv.MLP(sizes, dtype="float64", rng=np.random.default_rng(0))
    y, cache = mlp.propagate(x)
    np.testing.assert_array_equal(cache.x, x)
    assert cache.x.dtype == "float64" and ran == [passes.forward]
    np.testing.assert_array_equal(y, mlp.forward(x.astype("float64"))[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_is_of_bits_where_few_of_all_pixels_are_ones(dtype):
    for x, bits in (
        (pixels(FEW - 0.02), True),
        (pixels(FEW + 0.02), False),
        (pixels(0.13).astype(bool), True),
        (np.zeros(SHAPE, "uint8"), True),
        (np.ones(SHAPE, "uint8"), False),
        (pixels(0.13).astype("float32"), False),
    ):
        assert batch_dtype(x, dtype) == np.dtype("uint8" if bits else dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [0.5, -1, 2, np.nan])
def test_data_is_kept_as_bits_only_if_all_of_it_is(dtype, value):
    x = pixels(0.13).astype(dtype)
    assert as_bits(x).dtype == np.uint8
    x[-1, -1] = value
    assert as_bits(x) is x


@pytest.mark.parametrize("estimator", ["reparameterization", "leave_one_out"])
def test_the_gradient_is_the_one_of_the_same_pixels_in_float(estimator):
    vae = tv.VAE(300, 3, hidden=(N_OUT,), dtype="float64", seed=3)
    vae.theta += 0.1 * np.random.default_rng(2).standard_normal(vae.theta.shape)
    x, eps = pixels(0.13), np.random.default_rng(4).standard_normal((2, 100, 3))
    loss, grads = vae.loss_and_grads(x, eps, estimator)
    dense_loss, dense_grads = vae.loss_and_grads(x.astype("float64"), eps, estimator)
    assert loss == pytest.approx(dense_loss, rel=1e-14)
    np.testing.assert_allclose(grads, dense_grads, rtol=0, atol=1e-12 * np.abs(dense_grads).max())
    same_loss, same_grads = vae.loss_and_grads(x.astype(bool), eps, estimator)
    assert same_loss == loss and (same_grads == grads).all()


def test_training_on_sparse_pixels_repeats_bit_for_bit():
    def theta():
        vae = tv.VAE(300, 3, hidden=(N_OUT,), seed=3)
        for _ in tv.train(
            vae, pixels(0.13, (350, 300)), epochs=2, batch_size=100, seed=5
        ):  # the last minibatch: 50 rows
            pass
        return vae.theta

    np.testing.assert_array_equal(theta(), theta())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_that_hold_only_bits_are_found_once_an_epoch_and_not_multiplied(dtype, monkeypatch):
    training, seen = sys.modules["tinyvae.training.plan"], []
    monkeypatch.setattr(training, "as_bits", lambda x: seen.append(x.dtype) or as_bits(x))

    def theta(x):
        vae = tv.VAE(300, 3, hidden=(N_OUT,), seed=3)
        for _ in tv.train(vae, x, epochs=2, batch_size=100, seed=5):
            pass
        return vae.theta

    bits = pixels(0.13, (350, 300))
    np.testing.assert_array_equal(theta(bits.astype(dtype)), theta(bits))
    assert seen == [np.dtype(dtype)] * 3 + [np.dtype("uint8")] * 3  # at the start and once an epoch
    grey = bits.astype(dtype)
    grey[-1, -1] = 0.5
    assert as_bits(grey) is grey and as_bits(bits) is bits


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float32", "float64"])
def test_measure_times_the_step_that_training_takes(dtype, monkeypatch):
    from tinyvae.variance import cost, measurement

    vae, x, seen = tv.VAE(300, 3, hidden=(N_OUT,)), pixels(0.13), []
    call = cost.vae_call
    monkeypatch.setattr(measurement.cost, "vae_call", lambda vae, x, *rest: seen.append(x.dtype) or call(vae, x, *rest))
    tv.variance.measure(vae, x.astype(dtype), ["reparameterization"], n_draws=2, n_timings=1)
    grey = x.astype("float64")
    grey[0, 0] = 0.5
    tv.variance.measure(vae, grey, ["reparameterization"], n_draws=2, n_timings=1)
    assert seen == ["uint8", "float32"]
