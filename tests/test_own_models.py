"""The parts together: data from a file, a likelihood, a kind of model, a resumed run, the three tasks."""

import numpy as np
import pytest
from test_cli import PNG, run

import tinyvae as tv
from tinyvae.likelihoods import Categorical, Gaussian
from tinyvae.machine import disk

WHOLE = {"latents": "full_gaussian", "prior": "learnt_normal"}


def make(likelihood="gaussian", seed=0, **options):
    return tv.VAE(6, 2, (4,), likelihood=likelihood, seed=seed, **WHOLE, **options)


@pytest.fixture
def x():
    """Rows (60, 6) of three numbers and three that nearly repeat them, outside [0, 1]."""
    rng = np.random.default_rng(0)
    half = 2 + rng.standard_normal((60, 3))
    return np.concatenate([half, half + 0.1 * rng.standard_normal((60, 3))], axis=1).astype("float32")


GAUSSIANS = ["gaussian", Gaussian("isotropic"), Gaussian("per_pixel", "sigmoid")]
NAMES = ["shared", "isotropic", "per_pixel"]


@pytest.mark.parametrize("likelihood", GAUSSIANS, ids=NAMES)
def test_all_that_learns_has_the_slope_of_the_loss(likelihood, x, numeric_gradient):
    vae, x = make(likelihood, dtype="float64"), x[:3].astype("float64")
    vae.prior.mu[:], vae.prior.logvar[:] = [0.3, -0.2], [0.1, 0.4]
    eps = vae.noise(np.random.default_rng(1), 2, 3)
    for objective in (tv.ELBO(0.7), tv.ImportanceWeighted()):
        _, grads = vae.loss_and_grads(x, eps, objective=objective)
        numeric = numeric_gradient(lambda: vae.loss_and_grads(x, eps, objective=objective)[0], vae.theta)
        np.testing.assert_allclose(grads, numeric, atol=1e-7 * np.abs(numeric).max())


def fit(x, epochs, path=None, likelihood="gaussian"):
    vae = make(likelihood)
    vae.start_at(x)
    steps = -(-len(x) // 20)
    options = {
        "objective": tv.ELBO(tv.schedules.Linear(0.1, 1.0, 2 * steps)),
        "optimizer": tv.Adam(tv.schedules.Cosine(1e-2, 4 * steps), weight_decay=0.1),
    }
    history = tv.fit(vae, x[:50], x[50:], epochs, path, batch_size=20, clip_norm=5, patience=4, **options)
    return vae, [row._replace(seconds=0) for row in history.records]


@pytest.mark.parametrize("likelihood", GAUSSIANS, ids=NAMES)
def test_a_run_in_two_parts_is_a_run_in_one(likelihood, x, tmp_path, capsys):
    path = tmp_path / "run.npz"
    whole, records = fit(x, 4, likelihood=likelihood)
    fit(x, 2, path, likelihood)
    resumed, again = fit(x, 4, path, likelihood)
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    assert again == records and "Going on from" in capsys.readouterr().err
    assert whole.prior.mu.all() and all(values.any() for values in whole.own.values())
    with pytest.raises(ValueError, match="likelihood"):
        fit(x, 4, path, Gaussian(0.5))
    whole.save(tmp_path / "model.npz")
    loaded = tv.VAE.load(tmp_path / "model.npz")
    assert loaded.config == whole.config
    np.testing.assert_array_equal(loaded.log_likelihood(x[:2], 9, np.random.default_rng(0)),
                                  whole.log_likelihood(x[:2], 9, np.random.default_rng(0)))  # fmt: skip


def test_holes_are_filled_under_a_learnt_prior_and_a_full_covariance_as_the_closed_form_says(x):
    vae, rng = tv.VAE(6, 2, (), likelihood=Gaussian(0.3), dtype="float64", **WHOLE), np.random.default_rng(3)
    vae.prior.mu[:], vae.prior.logvar[:] = [1.5, -1.0], [-1.0, 0.5]
    vae.params["encoder.W0"][:] *= 0.1  # an encoder that knows little, as wide as the prior or so
    vae.params["encoder.b0"][:2] = vae.prior.mu
    W, b = vae.params["decoder.W0"], vae.params["decoder.b0"]
    mean, C = vae.prior.mu @ W + b, W.T * np.exp(vae.prior.logvar) @ W + 0.3 * np.eye(6)
    row = mean + rng.standard_normal(6) @ np.linalg.cholesky(C).T
    row[[1, 4]] = np.nan
    h = np.isnan(row)
    gain = C[np.ix_(h, ~h)] @ np.linalg.inv(C[np.ix_(~h, ~h)])
    wanted, spread = mean[h] + gain @ (row[~h] - mean[~h]), C[np.ix_(h, h)] - gain @ C[np.ix_(~h, h)]
    draws = tv.evaluate.impute(vae, row[None], 1000, rng, n_steps=200)[:, 0]
    np.testing.assert_array_equal(draws[:, ~h], np.tile(row[~h], (1000, 1)))
    off = (draws[:, h].mean(axis=0) - wanted) / np.sqrt(np.diag(spread) / 1000)
    assert np.abs(off).max() < 4, off
    assert draws[:, h].var(axis=0) == pytest.approx(np.diag(spread), rel=4 * np.sqrt(2 / 1000))


@pytest.mark.parametrize("likelihood, data", [("gaussian:variance=per_pixel", "csv"), ("categorical:levels=5", "npy")])
def test_from_a_file_to_a_model_to_samples_to_filled_holes(likelihood, data, x, tmp_path, capsys):
    x = x if data == "csv" else (np.arange(360).reshape(60, 6) % 5 / 4).astype("float32")
    holes = x[:5].copy()
    holes[:3, 4:] = np.nan
    for name, rows in (("own", x), ("holes", holes)):
        if data == "csv":
            text = "\n".join(",".join("" if np.isnan(v) else f"{v:.6f}" for v in row) for row in rows)
            (tmp_path / f"{name}.csv").write_text(text)
        else:
            np.save(tmp_path / f"{name}.npy", rows)
    out, kind = tmp_path / "out", ("--latents", "full_gaussian", "--prior", "learnt_normal", "--start-at-mean")
    sizes = ("--hidden", 4, "--epochs", 2, "--batch-size", 20)
    assert (
        run("train", "--data", tmp_path / f"own.{data}", "--likelihood", likelihood, *kind, *sizes, "--out", out) == 0
    )
    text = " ".join(capsys.readouterr().out.split())
    assert f"own.{data}: {data}, 60 rows of 6" in text and "cross-entropy" not in text
    model = out / "model.npz"
    assert tv.VAE.load(model).config["likelihood"]["name"] == likelihood.partition(":")[0]
    assert run("sample", "--model", model, "--manifold", "--draw", "--n", 4, "--out", out) == 0
    assert (out / "manifold.png").read_bytes().startswith(PNG)
    assert run("fill", model, "--data", tmp_path / f"holes.{data}", "--n-draws", 3, "--n-steps", 5, "--out", out) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "missing (NaN): 6" in text and "Filled in 6 values in 3 of 5 rows" in text and "grey" not in text
    draws = np.load(out / "filled.npy")
    there = ~np.isnan(holes)
    np.testing.assert_allclose(draws[:, there], np.tile(holes[there], (3, 1)), atol=1e-6)
    assert np.isfinite(draws).all() and (data == "csv" or set(np.unique(draws)) <= set(np.arange(5) / 4))


def test_what_has_no_density_or_no_latents_is_told_by_every_task(x):
    rng, bits = np.random.default_rng(0), np.eye(6, dtype="float32")
    with pytest.raises(ValueError, match="squared_error"):
        tv.evaluate.impute(make("squared_error"), x, 1, rng)
    for task in (
        lambda model: tv.evaluate.impute(model, bits, 1, rng),
        lambda model: tv.evaluate.gaps(model, bits, 9, rng),
        lambda model: tv.evaluate.bound(model, bits),
    ):
        with pytest.raises(TypeError, match="latents are drawn, such as tv.VAE, got Autoencoder"):
            task(tv.Autoencoder(6, 2, (4,)))


def test_a_walk_follows_a_learnt_prior():
    vae = make()
    vae.prior.mu[:], vae.prior.logvar[:] = [5, -5], np.log([4, 0.25])
    middle, one = vae.prior.quantile(np.array([[0.5, 0.5], [0.8413447, 0.8413447]]))
    np.testing.assert_allclose(middle, [5, -5])
    np.testing.assert_allclose(one, [7, -4.5], atol=1e-5)
    assert np.abs(tv.evaluate.manifold(vae, 5).mean(axis=0) - [5, -5]).max() < 1e-5


def test_grey_levels_in_a_large_file_are_looked_at_a_piece_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "PIECE", 2000)
    levels = (np.arange(6000).reshape(1000, 6) % 17 / 16).astype("float32")
    levels[700, 3] = 0.03
    np.save(tmp_path / "x.npy", levels)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert len(list(disk.pieces(x))) > 1
    with pytest.raises(ValueError, match=r"got 0.03 at index \(700, 3\); 'continuous_bernoulli' and 'gaussian'"):
        Categorical().check("x", x, 6)
