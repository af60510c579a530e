"""What the experiments kingma2014 and loaiza2019 compute, against what is known."""

import dataclasses
import json

import numpy as np
import pytest

from tinyvae import VAE, datasets, optim
from tinyvae.likelihoods import ContinuousBernoulli, Gaussian
from tinyvae.problems import LinearGaussian
from tinyvae.reproduce import grey, kingma2014, loaiza2019
from tinyvae.reproduce.rows import half_width, least

# --- kingma2014 ---------------------------------------------------------------------------------------------


def test_an_image_s_bound_is_its_log_likelihood_where_q_is_the_posterior():
    rng = np.random.default_rng(0)
    model = LinearGaussian(rng.standard_normal((4, 1)), rng.standard_normal(4), 0.7)
    vae, x = VAE(4, 1, (), likelihood=Gaussian(0.49), dtype="float64"), model.sample(7, rng)
    vae.params["decoder.W0"][:], vae.params["decoder.b0"][:] = model.W.T, model.m
    A = np.linalg.solve(model.M, model.W.T)
    vae.params["encoder.W0"][:] = np.hstack([A.T, np.zeros((4, 1))])
    vae.params["encoder.b0"][:] = np.concatenate([-A @ model.m, np.log(0.49 / np.diag(model.M))])
    each = np.array([kingma2014.image_bounds(vae, x, 1, rng, batch_size=3) for _ in range(200)])  # draws, images
    off = each.mean(axis=0) - model.log_likelihood(x)
    assert np.all(np.abs(off) < 4.5 * each.std(axis=0, ddof=1) / 14), off
    many = kingma2014.image_bounds(vae, x, 200, rng)
    assert np.all(np.abs(many - model.log_likelihood(x)) < 4.5 * each.std(axis=0, ddof=1) / 14)


def test_frames_like_their_neighbours_count_once_a_run():
    few = np.random.default_rng(0).standard_normal(9)
    value, error, n = kingma2014.mean_and_error(np.repeat(few, 14), 14)
    assert value == pytest.approx(few.mean()) and error == pytest.approx(few.std(ddof=1) / 3) and n == 9
    assert kingma2014.mean_and_error(few) == pytest.approx((value, error, n))
    assert kingma2014.mean_and_error(np.arange(5.0), 14)[1] > 0  # fewer images than a run has


def test_the_weights_prior_is_a_part_of_the_gradient():
    rng = np.random.default_rng(0)
    theta, grad = rng.standard_normal((2, 6))
    other = theta.copy()
    prior, plain = kingma2014.MapAdam(0.1, 50), optim.Adam(0.1)
    for _ in range(3):
        prior.step(theta, grad)
        plain.step(other, grad + other / 50)
    np.testing.assert_allclose(theta, other, rtol=1e-12)
    again = kingma2014.MapAdam(0.2, 50)
    again.restore(prior.state())
    assert repr(again) == repr(prior) == "MapAdam(rate=0.1, n=50)"
    for one in (again, prior):
        one.step(theta, grad)


def test_no_frame_is_both_trained_on_and_held_out():
    data, split = datasets.load("digits"), kingma2014.faces("digits")
    different = {row.tobytes() for row in split.train}
    between = {row.tobytes() for row in split.held_out["held out"]}
    assert len(split.train) % kingma2014.PASSES == 0 and len(between) == len(data.train) // 10
    assert different | between == {row.tobytes() for row in data.train} and not different & between
    assert split.held_out["end of the film"] is not None and len(split.held_out) == 2


def test_sizes_are_compared_image_by_image():
    images = np.random.default_rng(0).standard_normal(28)
    made = {"curves": {"train": [0.0], "held out": [0.0]}, "seen": [9], "end_of_train": [0.0, 0.1, 20], "active": 1}
    results = {
        f"{which}_{k}": {**made, "images": (images + k).tolist(), "elsewhere": {}}
        for which in ("digits", "faces")
        for k in (10, 5, 20)  # in whatever order the parts come
    }
    rows = {row.quantity: row for row in kingma2014.rows(results)}
    assert rows["digits, 10 less 5 latents"][2:5] == pytest.approx((5, 5, 5))  # the images' spread is gone
    assert rows["faces, 20 less 10 latents"].measured == pytest.approx(10)
    row = rows["digits, 20 latents: held-out"]
    assert row.published == (-102.0, -98.0) and row.measured == pytest.approx(images.mean() + 20)
    assert row.high - row.measured == pytest.approx(2.0518 * images.std(ddof=1) / np.sqrt(28), rel=1e-4)  # Student's t
    row, halves = rows["faces, 20 latents: held-out"], images.reshape(2, 14).mean(axis=1)
    assert row.high - row.measured == pytest.approx(12.706 * np.ptp(halves) / 2, rel=1e-4)  # of two runs of frames
    assert rows["faces, 20 latents: train less held-out"].measured == pytest.approx(-images.mean() - 20)


@pytest.mark.parametrize("part", ["digits_2", "faces_1"])
def test_a_curve_goes_on_where_it_was_stopped(part, tmp_path, monkeypatch):
    settings, calls = dataclasses.replace(kingma2014.RECIPES["miniature"], rows=50, n_samples=1), []
    whole = kingma2014.parts(settings, 0)[part](None)
    bounds = kingma2014.image_bounds

    def stops(*args):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return bounds(*args)

    monkeypatch.setattr(kingma2014, "image_bounds", stops)
    with pytest.raises(KeyboardInterrupt):
        kingma2014.parts(settings, 0)[part](tmp_path / "part.npz")
    assert json.dumps(kingma2014.parts(settings, 0)[part](tmp_path / "part.npz")) == json.dumps(whole)


# --- loaiza2019 ---------------------------------------------------------------------------------------------


def test_the_normaliser_has_its_exact_values():
    found = loaiza2019.parts(loaiza2019.RECIPES["miniature"], 0)["exact"](None)["normaliser"]
    np.testing.assert_allclose(found, list(loaiza2019.EXACT.values()), atol=6e-7)
    np.testing.assert_allclose(
        found, [2 * np.arctanh(1 - 2 * p) / (1 - 2 * p) for p in (1e-4, 0.01, 0.1, 0.4)], rtol=1e-12
    )


def test_lambda_is_found_from_the_mean():
    logits = np.concatenate([np.linspace(-15, 15, 1001), [-1e-6, 0.0, 1e-3]])[None]
    found = grey.logits_of_means(logits)
    means = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(ContinuousBernoulli(found).mean, means, rtol=1e-6)
    np.testing.assert_allclose(grey.logits_of_means(-logits), -found)
    assert grey.logits_of_means(logits.astype("float32")).dtype == "float32"
    rng = np.random.default_rng(0)
    outputs, x, losses = rng.standard_normal((3, 5)), rng.random((3, 5)), np.empty(3)
    grey.OfMeans.loss(outputs.copy(), x, losses)
    np.testing.assert_allclose(-losses, grey.OfMeans()(outputs).log_prob(x))
    np.testing.assert_allclose(grey.OfMeans()(outputs).mean, 1 / (1 + np.exp(-outputs)), rtol=1e-6)


def test_spread_levels_are_read_again():
    x = datasets.load("digits").test
    spread = grey.spread_levels(x, np.random.default_rng(0))
    assert spread.min() >= 0 and spread.max() <= 1 and spread.dtype == "float32"
    np.testing.assert_array_equal(np.minimum(np.floor(spread.astype("float64") * 17), 16) / 16, x)


def test_rough_is_what_changes_from_pixel_to_pixel():
    checked = np.indices((3, 4)).sum(axis=0) % 2
    steps = np.tile(np.arange(4.0), (3, 1))
    images = np.array([checked, np.full((3, 4), 0.3), steps]).reshape(3, -1)
    np.testing.assert_allclose(loaiza2019.roughness(images, (3, 4)), [1, 0, 9 / 17])


def test_a_model_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    settings, fit = dataclasses.replace(loaiza2019.RECIPES["miniature"], n_valid=900, patience=2), loaiza2019.fit
    whole = loaiza2019.parts(settings, 0)["bernoulli_1"](None)

    def stops(epoch):
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(loaiza2019, "fit", lambda *args, **options: fit(*args, after_epoch=stops, **options))
        loaiza2019.parts(settings, 0)["bernoulli_1"](tmp_path / "part.npz")
    again = loaiza2019.parts(settings, 0)["bernoulli_1"](tmp_path / "part.npz")
    assert json.dumps(again) == json.dumps(whole)


def test_models_are_scored_image_by_image():
    noise = np.random.default_rng(0).standard_normal(50)
    one = {"roughness": {"mean": [0.1, 0.01], "parameter": [0.2, 0.01]}}
    scores = {"as_it_is": 0, "of_means": 1, "of_means, fewer samples": 0.5, "no_normaliser": -9}
    ways = {way: {"log_density": noise + score, "in_doubt": 0.25} for way, score in scores.items()}
    own = {"as_it_is": {"log_density": noise + 3}}
    both = {f"continuous_bernoulli_{i}": one | {"ways": own} for i in range(2)}
    both |= {f"bernoulli_{i}": one | {"ways": ways} for i in range(2)}
    results = {"exact": {"normaliser": list(loaiza2019.EXACT.values()), "roughness": [0.3, 0.01]}, **both}
    rows = {row.quantity: row for row in loaiza2019.rows(results)}
    differences = [row[2:5] for quantity, row in rows.items() if quantity.startswith("continuous Bernoulli less")]
    np.testing.assert_allclose(differences, [[3] * 3, [2] * 3], atol=1e-12)
    assert rows["log p(x): continuous Bernoulli"].measured == pytest.approx(noise.mean() + 3)
    assert "brought 0.50 nats" in rows["log p(x): Bernoulli, scored as the mean"].remark
    off = rows["neighbours' difference: the means' lead"]
    assert off.measured == 0 and off.high == pytest.approx(1.96 * 0.01, rel=1e-4)  # two means of two, each .01 off


def test_an_interval_over_three_models_holds_what_it_says():
    # 3 models off by N(0, 1), and images off by N(0, .3): with 1.96 errors 82 of 100 hold the truth, not 95.
    rng = np.random.default_rng(0)
    models, images = rng.standard_normal((4000, 3)), 0.3 * rng.standard_normal(4000)
    held = []
    for means, image in zip(models, images):
        value, errors = loaiza2019._over_models(means + image, 0.3)
        held.append(abs(value) < half_width(*errors))
    assert 0.95 - 3 * 0.0034 < np.mean(held) < 0.975, np.mean(held)  # .0034 is the standard error


def test_half_of_an_interval_is_student_s():
    assert half_width((0.5, np.inf)) == pytest.approx(0.98, rel=1e-4)
    assert half_width((0.5, 3)) == pytest.approx(0.5 * 4.302653, rel=1e-6)
    assert half_width((0.3, 10), (0.3, 10)) == pytest.approx(0.3 * 2**0.5 * 2.262157, rel=1e-6)
    assert half_width((0.0, 3)) == half_width((0.0, np.inf), (0.0, 2)) == 0


def test_the_interval_of_a_least_allows_for_how_many_there_are():
    rng = np.random.default_rng(1)
    truth = np.array([0.0, 0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.1])
    for shared in (0.0, 0.8):  # numbers that depend on each other, too
        common, own = rng.standard_normal((2000, 1)), rng.standard_normal((2000, 8))
        found = truth + 0.5 * (shared * common + np.sqrt(1 - shared**2) * own)
        ends = np.array([least([(value, 0.5) for value in row]) for row in found])
        held = (ends[:, 1] <= 0) & (ends[:, 2] >= 0)
        assert held.mean() > 0.95 - 3 * 0.005
        if not shared:  # the interval of the number that is the least
            assert np.mean(np.abs(found.min(axis=1)) < 1.96 * 0.5) < 0.9
    assert least([(1.0, 0.0)]) == (1.0, 1.0, 1.0)
