"""The plain autoencoder: its gradient, its training, its files, and what it does not take."""

import copy

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import schedules


def make(**options):
    return tv.Autoencoder(64, 3, **{"hidden": (16,), **options})


@pytest.mark.parametrize("hidden", [(), (4,), (6, 4)])
def test_its_gradient_is_the_slope_of_its_loss(hidden, numeric_gradient):
    model = tv.Autoencoder(5, 2, hidden, dtype="float64", seed=1)
    x = np.random.default_rng(0).random((4, 5))
    loss, grads = model.loss_and_grads(x)
    numeric = numeric_gradient(lambda: model.loss_and_grads(x)[0], model.theta)
    np.testing.assert_allclose(grads, numeric, atol=1e-7 * np.abs(numeric).max())
    assert loss == pytest.approx(-model.decode(model.encode(x)).log_prob(x).mean(), rel=1e-12)
    assert model.held_out(x) == (pytest.approx(loss, rel=1e-12), pytest.approx(loss, rel=1e-12), 0)
    assert model.held_out(x, batch_size=3).loss == pytest.approx(loss, rel=1e-12)


class SharedGaussian(tv.Bernoulli):
    """x ~ N(outputs, exp(logvar)), one logvar that is learnt, without its constant."""

    name, takes_bits = "shared gaussian of a test", False

    @staticmethod
    def parameters(n_features):
        return {"logvar": np.zeros(1)}

    @staticmethod
    def loss(outputs, x, losses, logvar):
        losses[:] = 0.5 * ((outputs - x) ** 2 * np.exp(-logvar) + logvar).sum(axis=1)

    @staticmethod
    def loss_and_slope(outputs, x, losses, logvar):
        SharedGaussian.loss(outputs, x, losses, logvar)
        outputs[:] = (outputs - x) * np.exp(-logvar)

    @staticmethod
    def own_gradients(outputs, x, weights, logvar):
        slopes = 0.5 * (1 - (outputs - x) ** 2 * np.exp(-logvar)).sum(axis=1)
        return {"logvar": (weights @ slopes)[None]}


def test_what_its_likelihood_learns_has_its_gradient(numeric_gradient):
    model = tv.Autoencoder(5, 2, (4,), dtype="float64", likelihood=SharedGaussian)
    model.params["likelihood.logvar"][:] = -0.4
    x = np.random.default_rng(0).random((4, 5))
    numeric = numeric_gradient(lambda: model.loss_and_grads(x)[0], model.theta)
    np.testing.assert_allclose(model.loss_and_grads(x)[1], numeric, atol=1e-7 * np.abs(numeric).max())


def test_bits_and_floats_have_one_gradient():
    bits = (np.random.default_rng(0).random((20, 200)) < 0.2).astype("uint8")
    model = tv.Autoencoder(200, 2, (100,), dtype="float64")
    one, other = model.loss_and_grads(bits), model.loss_and_grads(bits.astype("float64"))
    assert one[0] == pytest.approx(other[0])
    np.testing.assert_allclose(one[1], other[1], atol=1e-12)


def test_it_learns_more_of_a_digit_than_a_vae_s_code_keeps(digits):
    model, vae = make(), tv.VAE(64, 3, (16,))
    history = tv.fit(model, digits, digits[:100], epochs=20, optimizer=tv.Adam(1e-2))
    tv.fit(vae, digits, epochs=20, optimizer=tv.Adam(1e-2))
    assert history.loss[-1] < history.loss[0] - 10 and not history.kl.any()
    assert model.held_out(digits).loss < tv.evaluate.bound(vae, digits).reconstruction
    assert model.encode(digits).shape == (500, 3) and model.reconstruct(digits).shape == (500, 64)


def test_it_is_saved_loaded_and_told_from_a_vae(tmp_path, digits):
    model = make()
    list(tv.train(model, digits, epochs=1))
    model.save(tmp_path / "model.npz")
    again = tv.Autoencoder.load(tmp_path / "model.npz")
    assert again.config == model.config
    for one in (again, copy.deepcopy(model)):
        np.testing.assert_array_equal(one.encode(digits), model.encode(digits))
    with pytest.raises(ValueError, match=r"model.npz holds a tv\.Autoencoder, .*; tv\.Autoencoder\.load reads it"):
        tv.VAE.load(tmp_path / "model.npz")
    tv.VAE(64, 3).save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"model.npz holds a tv\.VAE, .*; tv\.VAE\.load reads it"):
        tv.Autoencoder.load(tmp_path / "model.npz")


def test_a_run_in_two_parts_is_a_run_in_one(digits, tmp_path, capsys):
    def run(epochs, **options):
        model = make()
        optimizer = tv.Adam(schedules.Cosine(1e-2, 30), weight_decay=0.01)
        return model, tv.fit(model, digits[:90], digits[400:430], epochs, batch_size=40, optimizer=optimizer,
                             clip_norm=5.0, patience=3, **options)  # fmt: skip

    path = tmp_path / "run.npz"
    whole, history = run(4)
    run(2, checkpoint=path)
    again, later = run(4, checkpoint=path)
    np.testing.assert_array_equal(again.theta, whole.theta)
    assert [r.loss for r in later.records] == [r.loss for r in history.records]
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("epoch 1/4: loss ") and ", validation " in lines[0] and "KL" not in lines[0]
    with pytest.raises(ValueError, match="belongs to another run: .*latents is none there|latents is None there"):
        tv.fit(tv.VAE(64, 3, (16,)), digits[:90], digits[400:430], 4, path, batch_size=40, clip_norm=5.0, patience=3)


@pytest.mark.parametrize("option, value", [
    ("estimator", "score_function"), ("objective", tv.ELBO(2.0)), ("n_samples", 2), ("noise", "sobol"),
])  # fmt: skip
def test_it_has_no_use_for_what_estimates(option, value, digits):
    with pytest.raises(ValueError, match=f"tv.Autoencoder draws no latents: leave out {option}"):
        tv.train(make(), digits, **{option: value})


def test_a_loss_that_is_not_finite_names_the_step(digits):
    with pytest.raises(tv.NonFiniteLoss, match="step 2: .*; try a smaller learning rate$"):
        list(tv.train(make(activation="relu"), digits, optimizer=tv.SGD(1e30)))


def test_what_asks_for_latents_names_it(digits):
    model = make()
    for ask in (tv.evaluate.bound, tv.evaluate.log_likelihood, tv.variance.measure):
        with pytest.raises(TypeError, match=r"such as tv.VAE, got Autoencoder; .* is model.held_out\(x\)"):
            ask(model, digits)
