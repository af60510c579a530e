"""The VQ-VAE: its gradient, its codebook's two ways to learn, dead codes, its runs and files, and what it refuses."""

import copy

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.models import AutoregressivePrior, PositionPrior
from tinyvae.models.quantization import nearest, perplexity


def make(**options):
    return tv.VQVAE(64, 4, 8, 3, **{"hidden": (16,), **options})


def small(likelihood="bernoulli", **options):
    """A model of 5 pixels in float64, its codebook spread enough that no assignment is near another."""
    model = tv.VQVAE(5, 3, 4, 2, **{"hidden": (6,), "likelihood": likelihood, "dtype": "float64", "seed": 1, **options})
    model.codebook[:] = np.random.default_rng(5).standard_normal(model.codebook.shape)
    return model


def data_of(model, n=4):
    x = np.random.default_rng(0).random((n, 5))
    return np.round(x * 16) / 16 if model.likelihood.name == "categorical" else x


def surrogate(model, x):
    """theta -> the loss whose true slope a step takes: codes, and what is held fixed, as they are at the present theta.

    The decoder is asked at z + (e - z), the bracket held: straight through.
    """
    z0, _ = model.encoder.forward(x)
    codes = model.encode(x)
    e0 = model.codebook[codes].reshape(z0.shape).copy()
    own = model.codebook_by == "gradient"

    def loss():
        z, _ = model.encoder.forward(x)
        e = model.codebook[codes].reshape(z.shape)
        outputs, _ = model.decoder.forward(z + (e0 - z0))
        losses = np.empty(len(x))
        model.likelihood.loss(outputs, x, losses, **model.own)
        return losses.mean() + own * ((e - z0) ** 2).sum() / len(x) + model.commitment * ((z - e0) ** 2).sum() / len(x)

    return loss


@pytest.mark.parametrize("codebook_by", ["gradient", "moving_averages"])
@pytest.mark.parametrize("likelihood", tv.likelihoods.names())
def test_its_gradient_is_the_slope_straight_through(likelihood, codebook_by, numeric_gradient):
    model = small(likelihood, codebook_by=codebook_by, commitment=0.7)
    x = data_of(model)
    loss, grads = model.loss_and_grads(x)
    value = surrogate(model, x)
    assert loss == pytest.approx(value(), rel=1e-12)
    numeric = numeric_gradient(value, model.theta)
    np.testing.assert_allclose(grads, numeric, atol=1e-7 * np.abs(numeric).max())
    assert np.abs(model.views(grads)["codebook.vectors"]).any() == (codebook_by == "gradient")
    assert not model.views(grads)["codebook.use"].any()
    found = model.held_out(x)
    assert found.loss == pytest.approx(loss, rel=1e-12) and found.kl == 0


def test_the_decoder_learns_by_the_true_slope_and_the_encoder_has_none(numeric_gradient):
    """The loss itself, where no assignment changes: flat in the encoder but for the commitment, true in the decoder."""
    model = small(commitment=0.0)
    x = data_of(model)
    numeric = model.views(numeric_gradient(lambda: model.loss_and_grads(x)[0], model.theta))
    grads = model.views(model.loss_and_grads(x)[1])
    for name, slope in grads.items():
        if name.startswith("decoder"):
            np.testing.assert_allclose(slope, numeric[name], atol=1e-7 * np.abs(numeric[name]).max())
        elif name.startswith("encoder"):
            assert not numeric[name].any() and slope.any()


def test_the_code_is_the_nearest():
    rng = np.random.default_rng(0)
    z, book = rng.standard_normal((50, 3)), rng.standard_normal((7, 3))
    distances = np.linalg.norm(z[:, None] - book, axis=2)
    np.testing.assert_array_equal(nearest(z, book), distances.argmin(axis=1))
    assert perplexity(np.array([2, 2, 0, 2, 2])) == pytest.approx(4) and perplexity(np.array([0, 3])) == 1
    assert np.isnan(perplexity(np.zeros(3)))
    np.testing.assert_allclose(perplexity(np.array([[1, 1], [0, 5]])), [2, 1])


def test_moving_averages_are_of_sums_over_those_of_counts():
    model = small(decay=0.8, revive=0.0)
    start, grads = model.codebook.copy(), np.empty_like(model.theta)
    counts, sums = np.zeros(4), np.zeros((4, 2))
    for batch in range(5):
        x = data_of(model, 9 + batch)[batch:]
        z, _ = model.encoder.forward(x)
        codes = model.encode(x).ravel()
        model.step(x, grads)
        model.after_step(np.random.default_rng(0))
        own = codes[:, None] == np.arange(4)
        counts = 0.8 * counts + 0.2 * own.sum(axis=0)
        sums = 0.8 * sums + 0.2 * own.T.astype(float) @ z.reshape(-1, 2)
        used = counts > 0
        np.testing.assert_allclose(model.codebook[used], sums[used] / counts[used, None], rtol=1e-12)
        np.testing.assert_array_equal(model.codebook[~used], start[~used])
        np.testing.assert_allclose(model.params["codebook.use"], counts, rtol=1e-12)
    assert 1 < used.sum()


@pytest.mark.parametrize("codebook_by", ["gradient", "moving_averages"])
def test_a_dead_code_is_put_on_the_data(codebook_by):
    model, grads = small(codebook_by=codebook_by, revive=0.1), None
    model.codebook[2] = 100.0
    x, grads = data_of(model, 20), np.empty_like(model.theta)
    model.step(x, grads)
    twin = copy.deepcopy(model)
    for one in (model, twin):
        one.after_step(np.random.default_rng(3))
    z, _ = model.encoder.forward(x)
    assert (model.codebook[2] == z.reshape(-1, 2)).all(axis=1).any()
    np.testing.assert_array_equal(model.theta, twin.theta)
    use = model.params["codebook.use"]
    assert use.min() > 0.1 * use.mean() * 0.9
    never = small(codebook_by=codebook_by, revive=0.0)
    never.codebook[2] = 100.0
    never.step(x, grads)
    never.after_step(np.random.default_rng(3))
    assert (never.codebook[2] == 100).all()


def test_bits_and_floats_have_one_gradient():
    bits = (np.random.default_rng(0).random((20, 200)) < 0.2).astype("uint8")
    model = tv.VQVAE(200, 3, 4, 2, (100,), dtype="float64")
    one, other = model.loss_and_grads(bits), model.loss_and_grads(bits.astype("float64"))
    assert one[0] == pytest.approx(other[0])
    np.testing.assert_allclose(one[1], other[1], atol=1e-12)


def test_it_learns_and_uses_its_codes(digits):
    model = make()
    history = tv.fit(model, digits, digits[:100], epochs=15, optimizer=tv.Adam(1e-2))
    assert history.validation[-1].reconstruction < history.validation[0].reconstruction - 3
    assert model.perplexity(digits) > 4 and "perplexity" in model.status()
    codes = model.encode(digits)
    assert model.use(digits)[1, 5] == (codes[:, 1] == 5).sum() and model.use(digits).sum() == codes.size
    assert codes.shape == (500, 4) and codes.dtype.kind == "i" and codes.min() >= 0 and codes.max() < 8
    np.testing.assert_array_equal(model.decode(codes).mean, model.reconstruct(digits))
    assert model.sample(7, np.random.default_rng(0)).shape == (7, 64)
    assert model.sample(0, np.random.default_rng(0)).shape == (0, 64)


@pytest.mark.parametrize("codebook_by", ["gradient", "moving_averages"])
def test_a_run_in_two_parts_is_a_run_in_one(codebook_by, digits, tmp_path, capsys):
    def run(epochs, **options):
        model = make(codebook_by=codebook_by, revive=0.6, decay=0.7)
        return model, tv.fit(model, digits[:90], digits[400:430], epochs, batch_size=40, patience=3,
                             optimizer=tv.Adam(1e-2), **options)  # fmt: skip

    path = tmp_path / "run.npz"
    whole, history = run(4)
    run(2, checkpoint=path)
    again, later = run(4, checkpoint=path)
    np.testing.assert_array_equal(again.theta, whole.theta)
    assert [r.loss for r in later.records] == [r.loss for r in history.records]
    assert later.validation == history.validation or [v.loss for v in later.validation] == [
        v.loss for v in history.validation
    ]
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith("epoch 1/4: loss ") and "KL" not in line and "perplexity" in line and "of 8" in line
    with pytest.raises(ValueError, match="belongs to another run: .*commitment"):
        tv.fit(make(commitment=2.0), digits[:90], digits[400:430], 4, path, batch_size=40, patience=3)


def test_it_is_saved_and_loaded_with_the_prior_of_its_codes(tmp_path, digits):
    model = make(codebook_by="gradient", decay=0.5)
    list(tv.train(model, digits, epochs=1))
    codes = model.encode(digits)
    for prior in (model.codes_prior, PositionPrior(4, 8, codes), AutoregressivePrior(4, 8, (10,), seed=3)):
        model.codes_prior = prior
        model.save(tmp_path / "model.npz")
        again = tv.VQVAE.load(tmp_path / "model.npz")
        assert again.config == model.config and type(again.codes_prior) is type(prior)
        for one in (again, copy.deepcopy(model)):
            np.testing.assert_array_equal(one.theta, model.theta)
            np.testing.assert_array_equal(one.encode(digits), codes)
            np.testing.assert_array_equal(one.codes_prior.log_prob(codes), prior.log_prob(codes))
    with pytest.raises(ValueError, match=r"model.npz holds a tv\.VQVAE, .*; tv\.VQVAE\.load reads it"):
        tv.VAE.load(tmp_path / "model.npz")
    file = dict(np.load(tmp_path / "model.npz"))
    np.savez(tmp_path / "model.npz", **{name: array for name, array in file.items() if "prior" not in name})
    with pytest.raises(ValueError, match="is damaged or is not a model"):
        tv.VQVAE.load(tmp_path / "model.npz")


@pytest.mark.parametrize("option, value", [
    ("estimator", "score_function"), ("objective", tv.ELBO(2.0)), ("n_samples", 2), ("noise", "sobol"),
])  # fmt: skip
def test_it_has_no_use_for_what_estimates(option, value, digits):
    with pytest.raises(ValueError, match=f"tv.VQVAE draws no latents: leave out {option}"):
        tv.train(make(), digits, **{option: value})


@pytest.mark.parametrize("options, message", [
    ({"n_positions": 0}, "n_positions must be at least 1, got 0"),
    ({"n_positions": 2.0}, "n_positions must be an integer, got 2.0"),
    ({"n_codes": 1}, "n_codes must be at least 2, got 1"),
    ({"n_codes": "8"}, "n_codes must be an integer, got '8'"),
    ({"code_size": 0}, "code_size must be at least 1, got 0"),
    ({"codebook_by": "kmeans"}, "codebook_by must be one of 'moving_averages', 'gradient', got 'kmeans'"),
    ({"commitment": -1}, "commitment must be finite and at least 0, got -1"),
    ({"decay": 1.0}, "decay must be .*got 1"),
    ({"revive": float("nan")}, "revive must be finite .*got nan"),
    ({"n_features": 0}, "n_features must be at least 1"),
    ({"likelihood": "poisson"}, "likelihood must be one of .*got 'poisson'"),
])  # fmt: skip
def test_bad_sizes_and_names_are_named(options, message):
    with pytest.raises((ValueError, TypeError), match=message) as error:
        tv.VQVAE(**{"n_features": 64, "n_positions": 4, "n_codes": 8, "code_size": 2, **options})
    assert "\n" not in str(error.value)


def test_codes_and_priors_that_do_not_fit_are_named():
    model = make()
    for codes, message in (
        (np.full((2, 4), 8), "codes must be whole numbers from 0 to 7, got 8"),
        (np.full((2, 4), -1), "codes must be whole numbers from 0 to 7, got -1"),
        (np.full((2, 4), 0.5), "codes must be whole numbers from 0 to 7, got 0.5"),
        (np.full((2, 4), np.nan), "codes must be whole numbers from 0 to 7, got nan"),
        (np.zeros((2, 3), int), r"codes must have shape \(n, 4\), got \(2, 3\)"),
        (np.zeros((2, 4), bool), "codes must be whole numbers .*, got bool"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            model.decode(codes)
    with pytest.raises(ValueError, match="codes_prior must be of 4 positions and 8 codes, .* got one of 4 and 9"):
        model.codes_prior = PositionPrior(4, 9)
    with pytest.raises(TypeError, match="codes_prior must be a tv.models.PositionPrior or .*, got 'autoregressive'"):
        model.codes_prior = "autoregressive"
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        model.sample(2, 0)
    with pytest.raises(TypeError, match="such as tv.VAE, got VQVAE"):
        tv.evaluate.bound(model, np.zeros((2, 64)))


def test_a_loss_that_is_not_finite_names_the_step(digits):
    with pytest.raises(tv.NonFiniteLoss, match="step 2: .*; try a smaller learning rate$"):
        list(tv.train(make(activation="relu"), digits, optimizer=tv.SGD(1e30)))
