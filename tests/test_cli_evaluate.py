"""On the command line: how good a saved model is; and the functions that only this command has use for yet."""

import contextlib
import io
import json

import numpy as np
import pytest
from test_cli import PNG, run

import tinyvae as tv
from tinyvae.evaluate import Estimate

QUICK = ["--n-samples", 20, "--points", 30, "--per-class", 3]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Trained on black and white digits by the command, its train.json beside it."""
    out = tmp_path_factory.mktemp("model")
    words = ["--binarize", "--seed", 5, "--epochs", 3, "--hidden", 16, "--n-latents", 3, "--rate", 0.01]
    assert run("train", *words, "--out", out) == 0
    return out / "model.npz"


@pytest.fixture(scope="module")
def evaluated(model, tmp_path_factory):
    """What the command prints and writes."""
    out, printed = tmp_path_factory.mktemp("evaluated"), io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert run("evaluate", model, *QUICK, "--out", out) == 0
    assert (out / "evaluation.png").read_bytes().startswith(PNG)
    return printed.getvalue(), json.loads((out / "evaluation.json").read_text())


@pytest.fixture
def record(evaluated):
    return evaluated[1]


def test_every_number_has_its_error_and_its_cost(record):
    numbers = record["numbers"]
    assert set(numbers) >= {
        "negative_elbo", "negative_elbo_train", "gap", "log_likelihood", "effective_median", "effective_least",
        "bits_per_pixel", "rate", "distortion", "information", "aggregate_kl", "active_units", "continuity",
        "completeness", "probe", "probe_pixels", "probe_gain",
    }  # fmt: skip
    for key, row in numbers.items():
        assert np.isfinite(row["value"]), key
        exact = key in ("effective_median", "effective_least", "active_units")
        assert row["error"] is None if exact else row["error"] > 0, key
    costs = {key: row["decoder_passes"] for key, row in numbers.items() if "seconds" in row}
    assert costs == {
        "negative_elbo": 5 * 1797, "log_likelihood": 30 * 20, "rate": 30 * 20, "continuity": 6000,
        "completeness": 2000, "probe": 0,
    }  # fmt: skip
    assert record["settings"]["data"] == "digits" and record["settings"]["binarize"] is True


def test_the_numbers_are_those_of_the_package(record, model):
    vae, numbers = tv.VAE.load(model), record["numbers"]
    data = tv.datasets.load("digits")
    x, x_test = (tv.compare.binarized(data, 5)[i] for i in range(2))  # by the seed that it was trained with
    bound, error = numbers["negative_elbo"]["value"], numbers["negative_elbo"]["error"]
    assert bound == pytest.approx(tv.evaluate.bound(vae, x_test, 20).loss, abs=0.5 * error)  # the noise alone differs
    assert numbers["negative_elbo_train"]["value"] == pytest.approx(tv.evaluate.bound(vae, x, 5).loss, abs=0.5 * error)
    assert numbers["gap"]["value"] == pytest.approx(bound - numbers["negative_elbo_train"]["value"])
    rate = sum(numbers[name]["value"] for name in ("information", "aggregate_kl"))
    assert numbers["rate"]["value"] == pytest.approx(rate, abs=0.1)
    bits = -numbers["log_likelihood"]["value"] / (64 * np.log(2))
    assert numbers["bits_per_pixel"]["value"] == pytest.approx(bits)


def test_the_table_and_its_words(evaluated):
    text = evaluated[0]
    said = "train.json says: 1,437 training rows, 360 held out, 30 of them"
    assert said in " ".join(text.split())
    for words in ("quantity ", "bits per pixel", "H - D <= I <= R", "labelled right, 3 labels a class", "Written: "):
        assert words in text
    assert max(map(len, text.split("Written:")[0].splitlines())) <= 118


def test_what_makes_no_sense_is_left_out_and_said(tmp_path, digits, capsys):
    real = np.random.default_rng(0).standard_normal((60, 64))
    for likelihood, x, said in (
        ("bernoulli", digits[:60], "the pixels are grey and the likelihood is of black and white"),
        ("gaussian", digits[:60], "divided by 16: log 16 nats a pixel are added, the Jacobian"),
        ("gaussian", real, "the pixels are real numbers, whose density depends on their unit"),
    ):
        np.save(tmp_path / "x.npy", x)
        tv.VAE(64, 2, (8,), likelihood=likelihood).save(tmp_path / "model.npz")
        words = [tmp_path / "model.npz", "--data", tmp_path / "x.npy", *QUICK, "--out", tmp_path / "out"]
        assert run("evaluate", *words) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert said in text and "labelled right" not in text  # a file without labels
        numbers = json.loads((tmp_path / "out" / "evaluation.json").read_text())["numbers"]
        assert ("bits_per_pixel" in numbers) == ("16" in said)
    assert "No sign of learning by heart" in text  # a model that learnt nothing
    assert run("evaluate", *words, "--annealed", 5) == 0  # which changes no other number
    text = " ".join(capsys.readouterr().out.split())
    assert "log p(x) of 6 points, 5 temperatures" in text and "from above and from below" in text
    again = json.loads((tmp_path / "out" / "evaluation.json").read_text())["numbers"]
    assert {key: again[key]["value"] for key in numbers} == {key: row["value"] for key, row in numbers.items()}
    chains = again["annealed"], again["annealed_gain"], again["sandwich_gap"]
    assert all(row["error"] > 0 for row in chains) and all(chains[i]["decoder_passes"] > 0 for i in (0, 2))
    assert 0 <= again["annealed_acceptance"]["value"] <= 1


def test_without_a_record_of_its_own_training_a_model_is_of_the_digits(tmp_path, capsys):
    tv.VAE(60, 2, (8,)).save(tmp_path / "model.npz")
    another = '{"settings": {"n_latents": 9, "hidden": [8], "data": "mine", "binarize": true, "seed": 0}}'
    for content in ("{", "[]", another):
        (tmp_path / "train.json").write_text(content)
        assert run("evaluate", tmp_path / "model.npz", *QUICK, "--out", tmp_path / "out") == 2
        assert "evaluate: digits: has rows of 64 values, but " in capsys.readouterr().err


def test_what_cannot_be_evaluated_is_one_line(tmp_path, capsys):
    (tmp_path / "none.npz").write_bytes(b"no model")
    tv.Autoencoder(64, 2, (8,)).save(tmp_path / "auto.npz")
    tv.VAE(64, 2, (8,), likelihood="squared_error").save(tmp_path / "square.npz")
    tv.VAE(60, 2, (8,)).save(tmp_path / "narrow.npz")
    tv.VAE(64, 2, (8,)).save(tmp_path / "model.npz")
    np.save(tmp_path / "big.npy", 3 * np.ones((40, 64)))
    np.save(tmp_path / "few.npy", np.zeros((12, 64)))
    gone = {"settings": {"n_latents": 2, "hidden": [8], "data": "gone.npy", "binarize": False, "seed": 0}}
    model = tmp_path / "model.npz"
    for words, message in (
        ([tmp_path / "missing.npz"], "no such file"),
        ([tmp_path / "none.npz"], "is damaged or is not a model"),
        ([tmp_path / "auto.npz"], "holds a tv.Autoencoder, where a tv.VAE is asked for"),
        ([tmp_path / "square.npz"], "asks for a density, which the likelihood 'squared_error' is not"),
        ([tmp_path / "narrow.npz"], "digits: has rows of 64 values, but "),
        ([model, "--data", tmp_path / "big.npy"], "must lie in [0, 1]"),
        ([model, "--data", tmp_path / "few.npy"], "few.npy: holds out 1 row, and no error can be told from fewer"),
        ([model, "--data", "nothing"], "must be one of "),
        ([model, "--n-samples", 1], "must be a whole number of at least 2"),
        ([model, "--points", 3], "must be a whole number of at least 10"),
        ([], "the following arguments are required: MODEL"),
    ):
        assert run("evaluate", *words, "--out", tmp_path / "out") == 2
        text = capsys.readouterr().err
        assert message in text and len(text.splitlines()) == 1, (words, text)
    (tmp_path / "train.json").write_text(json.dumps(gone))
    assert run("evaluate", model, "--out", tmp_path / "out") == 2
    assert "learnt from gone.npy, which is not there: give --data" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- the functions ----------------------------------------------------------------------------------------


def test_the_gap_is_found_and_has_its_error():
    # Pixels that are fair coins in the one, and all black in the other, under a model that calls them 3/4 white.
    vae, rng = tv.VAE(8, 2, (4,), dtype="float64"), np.random.default_rng(0)
    vae.theta = np.zeros_like(vae.theta)  # q is the prior: no KL
    vae.params["decoder.b1"][:] = np.log(3)
    x, x_test = (rng.random((3000, 8)) < 0.5).astype(float), np.zeros((50, 8))
    found = tv.evaluate.generalization(vae, x, x_test, rng)
    exact = -8 * np.log([0.75, 0.25]).mean(), -8 * np.log(0.25)
    assert abs(found.train.value - exact[0]) < 4 * found.train.error
    assert found.train.error == pytest.approx(np.sqrt(8 * 0.25 * np.log(3) ** 2 / 3000), rel=0.1)
    assert found.test == pytest.approx((exact[1], 0), abs=1e-10)
    assert found.gap == pytest.approx((found.test.value - found.train.value, found.train.error))
    assert found.decoder_passes == 5 * 3050


def test_bits_per_pixel_are_in_the_unit_of_a_step():
    bits, greys = np.eye(4), np.arange(8).reshape(2, 4) / 255
    per_pixel = 4 * np.log(2)
    for likelihood, x, levels, log_p, value in (
        ("bernoulli", bits, 1, -per_pixel, 1),
        (tv.likelihoods.Categorical(256), greys, 1, -2 * per_pixel, 2),
        # A uniform density on [0, 1] has log p = 0, and tells nothing of 255 steps.
        ("gaussian", greys, 255, 0.0, np.log2(255)),
        ("continuous_bernoulli", np.arange(4)[None] / 16, 16, 0.0, 4),
    ):
        vae = tv.VAE(4, 1, (2,), likelihood=likelihood, dtype="float64")
        found, level = tv.evaluate.bits_per_pixel(vae, x, Estimate(log_p, per_pixel))
        assert level == levels and found == pytest.approx((value, 1))
    for likelihood, x, message in (
        ("bernoulli", greys, "that is a cross-entropy, no -log p"),
        ("gaussian", bits, "the pixels are black and white, and 'gaussian' is a density"),
        ("gaussian", greys + 1, "real numbers, whose density depends on their unit"),
        ("gaussian", greys * 0.9, "real numbers, whose density depends on their unit"),
        ("squared_error", greys, "bits_per_pixel asks for a density"),
    ):
        with pytest.raises(ValueError, match=message):
            tv.evaluate.bits_per_pixel(tv.VAE(4, 1, (2,), likelihood=likelihood), x, Estimate(0.0, 1.0))


def test_two_rows_at_least():
    vae, x = tv.VAE(4, 1, (2,)), np.zeros((3, 4))
    with pytest.raises(ValueError, match="x_test must hold at least two rows"):
        tv.evaluate.generalization(vae, x, x[:1], np.random.default_rng(0))
    with pytest.raises(TypeError, match="model whose latents are drawn"):
        tv.evaluate.generalization(tv.Autoencoder(4, 1), x, x, np.random.default_rng(0))
