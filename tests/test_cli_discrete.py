"""The command line on bits and choices."""

import json

import pytest

import tinyvae as tv
from tinyvae import cli, compare
from tinyvae.cli import options

SMALL = ["--hidden", "4", "--batch-size", "400", "--epochs", "1"]
DISCRETE = ["disarm", "leave_one_out", "rebar", "gumbel_softmax", "score_function"]


def run(*words):
    """The exit status of one command."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


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
