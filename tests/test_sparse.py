"""A first layer that adds up selected rows gives what the dense product gives, and is used only where it pays."""

import sys

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.machine.sparse import FEW, PIXELS, UNITS, Ones, as_bits, first_input, product

N_OUT = UNITS
SHAPE = (100, 300)


def pixels(share, shape=SHAPE, seed=0):
    return (np.random.default_rng(seed).random(shape) < share).astype("uint8")


def as_input(x, n_out=N_OUT, dtype="float64"):
    return first_input(x, n_out, np.dtype(dtype), np.empty)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("share", [0, 0.001, 0.13, 0.24])
def test_both_products_are_the_dense_ones(share, dtype):
    x, rng = pixels(share), np.random.default_rng(1)
    ones, X = as_input(x, dtype=dtype), x.astype("float64")
    assert isinstance(ones, Ones) and len(ones) == 100 and len(ones.T) == 300
    W, delta = rng.standard_normal((300, N_OUT)).astype(dtype), rng.standard_normal((100, N_OUT)).astype(dtype)
    for part in (slice(0, None), slice(0, 37), slice(37, 100), slice(0, 0)):
        for matrix, dense, other in ((ones, X, W), (ones.T, X.T, delta)):
            out = np.full((len(dense[part]), N_OUT), -7, dtype)
            assert product(matrix[part], other, out=out) is out
            allowed = 300 * np.finfo(dtype).eps * np.abs(dense[part]) @ np.abs(other.astype("float64"))
            assert (np.abs(out - dense[part] @ other) <= allowed).all()


@pytest.mark.parametrize(
    "x, n_out",
    [
        (pixels(FEW + 0.02), N_OUT),
        (np.ones(SHAPE, "uint8"), N_OUT),
        (pixels(0.13), UNITS - 1),
        (pixels(0.13, (PIXELS // 300, 300)), N_OUT),
        (pixels(0.13).astype("float32"), N_OUT),
        (pixels(0.13).astype("float64"), N_OUT),
    ],
    ids=["too many ones", "nothing but ones", "few units", "few pixels", "float32", "float64"],
)
def test_otherwise_the_input_is_the_dense_matrix(x, n_out):
    found = as_input(x, n_out)
    assert type(found) is np.ndarray and found.dtype == "float64"
    np.testing.assert_array_equal(found, x)


def test_nothing_but_a_product_is_made_of_ones():
    for wrong in (np.sum, lambda ones: np.dot(ones, np.ones((300, 2)))):
        with pytest.raises(TypeError):
            wrong(as_input(pixels(0.13)))


@pytest.mark.parametrize("estimator", ["reparameterization", "leave_one_out"])
def test_the_gradient_is_the_one_of_the_same_pixels_in_float(estimator):
    vae = tv.VAE(300, 3, hidden=(N_OUT,), dtype="float64", seed=3)
    vae.theta += 0.1 * np.random.default_rng(2).standard_normal(vae.theta.shape)
    x, eps = pixels(0.13), np.random.default_rng(4).standard_normal((2, 100, 3))
    assert isinstance(as_input(x), Ones)
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
    training, seen = sys.modules["tinyvae.training.train"], []
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
