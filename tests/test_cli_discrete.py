"""The command line on bits and choices."""

import json

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import cli, compare
from tinyvae.cli import evaluation, options, results, tasks

SMALL = ["--hidden", "4", "--batch-size", "400", "--epochs", "1"]
DISCRETE = ["disarm", "leave_one_out", "rebar", "gumbel_softmax", "score_function"]


def run(*words):
    """The exit status of one command."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


@pytest.mark.usefixtures("undrawn")
def test_a_comparison_of_bits_takes_the_estimators_that_fit(tmp_path, capsys):
    draws = ["--points", "2", "--n-draws", "8", "--n-latents", "3"]
    assert run("compare", "--latents", "binary", *SMALL, *draws, "--out", tmp_path) == 0
    text = capsys.readouterr().out
    record = json.loads((tmp_path / "compare.json").read_text())
    assert list(record["table"]) == DISCRETE and (tmp_path / "compare.png").exists()
    assert record["settings"]["latents"] == "binary" and record["settings"]["prior"] == "bits"
    assert "gumbel_softmax (biased)" in text and "Biased by design: gumbel_softmax." in text


def test_a_model_of_choices_is_trained_and_measured(tmp_path, capsys):
    choices = ["--latents", "categorical", "--n-ways", "3", "--prior", "learnt_categories"]
    assert run("train", *choices, *SMALL, "--out", tmp_path) == 0
    settings = json.loads((tmp_path / "train.json").read_text())["settings"]
    assert settings["estimator"] == "disarm" and settings["n_latents"] == 2 and settings["n_ways"] == 3
    vae = tv.VAE.load(tmp_path / "model.npz")
    assert vae.code_size == 6 and vae.prior.name == "learnt_categories" and vae.prior.logits.any()
    capsys.readouterr()
    measured = ["--model", tmp_path / "model.npz", "--batch-size", "5", "--n-draws", "20"]
    assert run("variance", *measured, "--out", tmp_path) == 0
    text = capsys.readouterr().out
    assert "exact gradient by enumeration of all 9 states." in " ".join(text.split())
    assert list(json.loads((tmp_path / "variance.json").read_text())["estimators"]) and "score_function" in text
    assert run("sample", "--model", tmp_path / "model.npz", "--n", "4", "--out", tmp_path) == 0


def test_a_problem_of_bits_by_name(tmp_path, capsys):
    assert run("variance", "--problem", "coupled_bits", "--n-draws", "200", "--out", tmp_path) == 0
    text = capsys.readouterr().out
    assert "coupled_bits: 1 data point, 8 latents" in text and "logits, total over" in text
    assert set(json.loads((tmp_path / "variance.json").read_text())["estimators"]) == set(DISCRETE)


@pytest.mark.parametrize("name, status", [("disarm", 0), ("straight_through", 1)])
def test_check_certifies_on_bits_and_tells_the_size_of_a_bias(name, status, capsys):
    words = ["--latents", "binary", "--n-samples", "1", "--bias", "1"]
    assert run("check", name, *words) == status
    text = capsys.readouterr().out
    assert ("of the gradient's norm, between" in text) is bool(status)
    assert "one_bit" in text and "gumbel_softmax (biased)" in text and "quadratic  " not in text


def test_what_is_not_given_depends_on_the_latents():
    def parsed(*words):
        return options.parse(list(words))

    train = parsed("train", "--latents", "binary")
    assert (train.estimator, train.n_latents, train.prior) == ("disarm", 10, "bits")
    train = parsed("train", "--latents", "binary", "--n-latents", "4", "--estimator", "arm", "--prior", "learnt_bits")
    assert (train.estimator, train.n_latents, train.prior) == ("arm", 4, "learnt_bits")
    assert parsed("train", "--latents", "binary", "--objective", "importance_weighted").estimator == "vimco"
    assert parsed("compare", "--latents", "binary", "--objective", "importance_weighted").estimators == ("vimco",)
    train = parsed("train")
    assert (train.estimator, train.n_latents, train.prior) == ("reparameterization", 2, "standard_normal")
    assert parsed("compare").estimators == compare.Settings().estimators


@pytest.mark.parametrize(
    "words, message",
    [
        ("train --n-ways 3", "those of --latents gaussian have none: leave out --n-ways"),
        ("train --model autoencoder --n-ways 3", "leave out --n-ways"),
        ("variance --problem one_bit --latents binary", "without a model and its data: leave out --latents"),
        ("train --latents binary --estimator reparameterization", "reparameterization needs q.path"),
        ("train --latents binary --prior standard_normal", "does not fit latents of 'binary'"),
        ("train --latents categorical --n-ways 1", "argument --n-ways: must be a whole number of at least 2"),
        (
            "train --model vqvae --n-codes 100000",
            "--n-codes 100,000 is more than the training data have vectors, 11,496",
        ),
        ("check disarm --latents full_gaussian", "argument --latents: invalid choice"),
        ("check arm --latents categorical", "which a Categorical does not have"),
        ("check reparameterization --latents binary", "reparameterization needs q.path"),
    ],
)
def test_what_does_not_fit_is_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*words.split()) in (1, 2)
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and message in error[0]


# --- a saved model ------------------------------------------------------------------------------------------

FEW = ["--n-samples", 20, "--points", 30, "--per-class", 3]
SAID = {
    "bits": ("bernoulli, 4 bits. ", "log p(x) is exact, the sum over all 16 states", "R = I + KL(q(z) || p(z))"),
    "choices": ("2 choices of 3 ways", "all 9 states", "active units, of 2"),
    "many bits": ("13 bits", "log p(x) is low on average", "Continuity is left out: codes have nothing between them."),
}


@pytest.fixture
def quick(monkeypatch):
    """Fewer rows and draws than a user gets, and no figures."""
    monkeypatch.setattr(evaluation, "MOST", 400)
    monkeypatch.setattr(evaluation, "DRAWS", 60)
    monkeypatch.setattr(results, "write_figure", lambda args, name, figure: None)


def saved(kind, folder):
    """A fresh model of digits in a file."""
    make = {
        "bits": lambda: tv.VAE(64, 4, (8,), latents="binary", prior="learnt_bits"),
        "choices": lambda: tv.VAE(64, 2, (8,), latents=tv.distributions.OneHot(3)),
        "many bits": lambda: tv.VAE(64, 13, (8,), latents="binary"),
        "codebook": lambda: tv.VQVAE(64, 3, 5, 2, (8,), likelihood="gaussian"),
        "squared error": lambda: tv.VQVAE(64, 3, 5, 2, (8,), likelihood="squared_error"),
        "two layers": lambda: tv.TwoLayerVAE(64, 3, 2, (8,)),
    }
    make[kind]().save(folder / "model.npz")
    return folder / "model.npz"


def evaluated(folder, model, capsys, *words):
    assert run("evaluate", model, *FEW, *words, "--out", folder / "out") == 0
    numbers = json.loads((folder / "out" / "evaluation.json").read_text())["numbers"]
    return " ".join(capsys.readouterr().out.split()), numbers


@pytest.mark.parametrize("kind", SAID)
def test_a_model_of_discrete_latents_is_evaluated(kind, quick, tmp_path, capsys):
    text, numbers = evaluated(tmp_path, saved(kind, tmp_path), capsys, "--binarize")
    for words in (*SAID[kind], "Completeness: how near", "bits per pixel", "labelled right, 3 labels a class"):
        assert words in text
    assert "continuity" not in numbers and {"completeness", "rate", "probe", "effective_least"} <= set(numbers)
    found = {key: row["value"] for key, row in numbers.items()}
    off = found["rate"] - found["information"] - found["aggregate_kl"]
    if kind == "many bits":
        assert "exact_log_likelihood" not in numbers and abs(off) < 0.5
        return
    assert abs(off) < 1e-9 and numbers["rate"]["decoder_passes"] == {"bits": 16, "choices": 9}[kind]
    vae = tv.VAE.load(tmp_path / "model.npz")
    exact = found["exact_log_likelihood"]
    assert found["bits_per_pixel"] == pytest.approx(-exact / (vae.n_features * np.log(2)))
    assert exact - found["log_likelihood"] == pytest.approx(found["exact_gain"])
    assert -found["negative_elbo"] < exact + 3 * numbers["exact_log_likelihood"]["error"]


@pytest.mark.parametrize("kind", ["codebook", "squared error"])
def test_a_codebook_is_evaluated(kind, quick, tmp_path, capsys):
    text, numbers = evaluated(tmp_path, saved(kind, tmp_path), capsys)
    vqvae, test = tv.VQVAE.load(tmp_path / "model.npz"), tv.datasets.load("digits").test
    assert "3 positions, 5 codes. " in text and "There are no rates and no log p(x): nothing is drawn." in text
    square = numbers["squared_error" if kind == "codebook" else "reconstruction"]
    assert square["value"] == pytest.approx(((test - vqvae.reconstruct(test)) ** 2).sum(axis=1).mean(), rel=1e-5)
    assert square["error"] > 0 and numbers["perplexity"]["value"] == pytest.approx(vqvae.perplexity(test))
    assert numbers["codes_cost"]["value"] == pytest.approx(3 * np.log(5), rel=1e-5)  # a prior that knows nothing
    assert {"gap", "perplexity_least", "codes_in_use", "completeness", "probe"} <= set(numbers)
    assert ("bits_per_pixel" in numbers) is ("negative_elbo" in numbers) is (kind == "codebook")
    if kind == "codebook":
        held_out = vqvae.held_out(test)
        assert numbers["reconstruction"]["value"] == pytest.approx(held_out.reconstruction, rel=1e-5)
        assert "the Jacobian" in text  # of a density of greys


def test_a_codebook_that_was_trained_is_evaluated_on_what_it_learnt_from(quick, tmp_path, capsys):
    codes = ["--model", "vqvae", "--n-positions", 2, "--n-codes", 4, "--codes-prior", "per_position"]
    assert run("train", *codes, *SMALL, "--binarize", "--seed", 3, "--out", tmp_path) == 0
    capsys.readouterr()
    text, numbers = evaluated(tmp_path, tmp_path / "model.npz", capsys)
    assert "It learnt from digits, binarized, as" in text and "cost of the codes, prior per position" in text
    assert numbers["bits_per_pixel"]["value"] == pytest.approx(numbers["negative_elbo"]["value"] / (64 * np.log(2)))
    assert numbers["codes_cost"]["value"] < 2 * np.log(4)


@pytest.mark.parametrize(
    "words, kind, message",
    [
        ("evaluate FILE --annealed 5", "bits", "--annealed moves codes along a slope, and those of"),
        ("evaluate FILE --annealed 5", "codebook", "have nothing between them: leave it out"),
        ("evaluate FILE", "two layers", "holds a tv.TwoLayerVAE, where a tv.VAE is asked for"),
        ("sample --model FILE", "two layers", "holds a tv.TwoLayerVAE, where a tv.VAE is asked for"),
        ("sample --model FILE --traverse", "choices", "ways without an order, with nothing to walk along"),
        ("sample --model FILE --manifold", "codebook", "with nothing between them to walk through"),
        ("fill FILE --data holes.npy", "codebook", "holds a tv.VQVAE, where a tv.VAE is asked for"),
        ("fill FILE --data holes.npy", "two layers", "holds a tv.TwoLayerVAE, where a tv.VAE is asked for"),
        ("variance --model FILE", "codebook", "holds a tv.VQVAE, where a tv.VAE is asked for"),
        ("variance --model FILE", "two layers", "holds a tv.TwoLayerVAE, where a tv.VAE is asked for"),
    ],
)
def test_what_a_saved_model_cannot_do_is_one_line(words, kind, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = saved(kind, tmp_path)
    assert run(*words.replace("FILE", str(model)).split()) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and message in error[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["bits", "choices", "many bits"])
def test_holes_are_filled_and_images_drawn_by_discrete_latents(kind, quick, tmp_path, capsys):
    model, x = saved(kind, tmp_path), (tv.datasets.load("digits").test[:4] > 0.5).astype("float32")
    x[:, :7] = np.nan
    np.save(tmp_path / "holes.npy", x)
    few = ["--n-draws", 2, "--n-steps", 3, "--out", tmp_path]
    assert run("fill", model, "--data", tmp_path / "holes.npy", *few) == 0
    draws = np.load(tmp_path / "filled.npy")
    assert draws.shape == (2, 4, 64) and set(np.unique(draws)) == {0, 1}
    walks = ("--n 4", "--interpolate --n 4", *(["--manifold --n 4", "--traverse"] if kind == "bits" else ()))
    for walk in walks:
        assert run("sample", "--model", model, *walk.split(), "--draw", "--out", tmp_path) == 0


@pytest.mark.parametrize("latents", ["binary", "categorical"])
def test_a_family_over_beta_is_of_the_latents_that_are_asked_for(latents, quick, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.eye(9, dtype="float32").repeat(6, axis=0))
    words = ["--latents", latents, "--n-latents", 2, "--hidden", 4, "--epochs", 1, "--betas", 1, 10]
    assert run("rates", *words, "--data", tmp_path / "x.npy", "--out", tmp_path) == 0
    record = json.loads((tmp_path / "rates.json").read_text())
    assert record["settings"]["latents"] == latents and len(record["members"]) == 2
    vae = tv.VAE.load(tmp_path / "rates" / "beta-10.npz")
    assert vae.family.name == latents and vae.n_latents == 2


def test_a_walk_along_a_bit_stops_at_its_states_alone():
    z, columns, *_ = tasks.WALKS["traverse"][1](tv.VAE(16, 3, (4,), latents="binary"), 1, None)
    assert columns == 2 and np.array_equal(z[1::2], np.eye(3)) and not z[::2].any()
