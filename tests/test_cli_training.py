"""`tinyvae train` with what changes the model, the objective and the run."""

import json
import re

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import cli

SMALL = "--hidden 8 --epochs 3 --batch-size 500".split()


def train(folder, *words):
    """The exit status, and what is in train.json."""
    status = cli.main(["train", *SMALL, "--out", str(folder), *" ".join(words).split()])
    path = folder / "train.json"
    return status, json.loads(path.read_text()) if path.exists() else None


def test_an_autoencoder_is_trained_and_found_again(tmp_path, capsys):
    status, record = train(tmp_path, "--model autoencoder --n-latents 4 --start-at-mean")
    assert status == 0 and not any(record["steps"]["kl"]) and "beta" not in record["settings"]
    out = capsys.readouterr().out
    assert "Validation after epoch 3: loss " in out and "KL" not in out
    model = tv.Autoencoder.load(tmp_path / "model.npz")
    assert model.n_latents == 4
    assert cli.main(["sample", "--model", str(tmp_path / "model.npz"), "--out", str(tmp_path)]) == 2
    assert "holds a tv.Autoencoder, where a tv.VAE is asked for" in capsys.readouterr().err


def test_a_vqvae_is_trained_with_a_prior_of_its_codes_and_drawn_from(tmp_path, capsys):
    words = (
        "--model vqvae --n-positions 3 --n-codes 5 --code-size 4 --codebook-by gradient --commitment 0.5 --rate 1e-2"
    )
    status, record = train(tmp_path, words)
    assert status == 0 and not any(record["steps"]["kl"]) and record["settings"]["n_codes"] == 5
    assert not {"n_latents", "beta", "estimator"} & record["settings"].keys()
    out = capsys.readouterr().out
    assert re.search(r"Codes on validation: perplexity \d\.\d of 5, of a\s+position alone", out) and "KL" not in out
    model = tv.VQVAE.load(tmp_path / "model.npz")
    assert (model.n_positions, model.code_size, model.codebook_by, model.commitment) == (3, 4, "gradient", 0.5)
    assert isinstance(model.codes_prior, tv.models.AutoregressivePrior) and model.codes_prior.hidden == (8,)
    alone = tv.VQVAE(64, 3, 5, 4, (8,), codebook_by="gradient", commitment=0.5)
    data = tv.datasets.load("digits")
    tv.fit(alone, data.train, epochs=3, batch_size=500, optimizer=tv.Adam(1e-2))
    np.testing.assert_array_equal(model.theta, alone.theta)
    sample = ["sample", "--model", str(tmp_path / "model.npz"), "--out", str(tmp_path)]
    assert cli.main([*sample, "--n", "12"]) == 0 and (tmp_path / "samples.png").exists()
    capsys.readouterr()
    assert cli.main([*sample, "--traverse"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "holds a tv.VQVAE, whose codes are whole numbers" in error


@pytest.mark.slow
def test_the_codes_get_the_prior_that_is_asked_for(tmp_path, capsys):
    assert train(tmp_path, "--model vqvae --codes-prior per_position")[0] == 0
    assert "their prior: one categorical a position" in " ".join(capsys.readouterr().out.split())
    assert isinstance(tv.VQVAE.load(tmp_path / "model.npz").codes_prior, tv.models.PositionPrior)


def test_the_run_is_what_the_library_does(tmp_path, capsys):
    model = "--latents full_gaussian --prior learnt_normal --start-at-mean"
    run = "--clip-norm 9 --schedule cosine --weight-decay 0.1 --beta-warmup 2 --beta 0.5 --rate 1e-2"
    assert train(tmp_path, model, run)[0] == 0
    data = tv.datasets.load("digits")
    vae = tv.VAE(64, 2, (8,), latents="full_gaussian", prior="learnt_normal")
    vae.start_at(data.train)
    objective = tv.ELBO(tv.schedules.Linear(0, 0.5, 6))
    adam = tv.Adam(tv.schedules.Cosine(1e-2, 9), weight_decay=0.1)
    tv.fit(vae, data.train, epochs=3, batch_size=500, objective=objective, optimizer=adam, clip_norm=9)
    loaded = tv.VAE.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded.theta, vae.theta)
    assert loaded.config == vae.config and loaded.prior.mu.all()


@pytest.mark.parametrize("words, wanted", [
    ("--schedule step", tv.schedules.Steps(3e-3, 0.1, 3)),
    ("--schedule burda", tv.schedules.Burda(3e-3, 3)),
    ("--free-bits 0.5", tv.FreeBits(0.5)),
])  # fmt: skip
def test_an_option_stands_for_a_schedule_or_an_objective(words, wanted, tmp_path, monkeypatch, capsys):
    seen = []

    def fit(*_, **options):
        seen.append(options)
        raise ValueError("enough")

    monkeypatch.setattr(tv, "fit", fit)
    assert train(tmp_path, words)[0] == 2
    assert wanted in (seen[0]["optimizer"].rate, seen[0]["objective"])


def test_early_stopping_tells_of_the_best_epoch(tmp_path, capsys):
    status, record = train(tmp_path, "--patience 1 --epochs 60 --rate 1 --checkpoint", str(tmp_path / "run.npz"))
    losses = [row["loss"] for row in record["validation"]]
    best = int(np.argmin(losses)) + 1
    assert status == 0 and len(losses) == best + 1 < 60
    assert f"Validation after epoch {best}: loss " in capsys.readouterr().out
    loaded = tv.VAE.load(tmp_path / "model.npz")
    assert tv.evaluate.bound(loaded, tv.datasets.load("digits").test).loss == losses[best - 1]


@pytest.mark.parametrize("words, line", [
    ("--model autoencoder --estimator score_function --beta 2",
     "a model of the kind autoencoder draws no latents: leave out --estimator and --beta"),
    ("--model vqvae --n-latents 3 --kl analytic",
     "a model of the kind vqvae draws no latents: leave out --n-latents and --kl"),
    ("--model autoencoder --n-codes 8", "only a model of the kind vqvae has a codebook: leave out --n-codes"),
    ("--codes-prior per_position", "only a model of the kind vqvae has a codebook: leave out --codes-prior"),
    ("--model vqvae --n-codes 1", "argument --n-codes: must be a whole number of at least 2, got '1'"),
    ("--model vqvae --decay 1", "argument --decay: must be a number of at least 0 and at most 0.999999, got '1'"),
    ("--model vqvae --codebook-by kmeans", "argument --codebook-by: invalid choice: 'kmeans'"),
    ("--free-bits 1 --beta-warmup 3", "--free-bits is an objective of its own, .*: leave out --beta-warmup"),
    ("--objective importance_weighted --beta-warmup 3", "the importance-weighted bound has no beta: leave out"),
    ("--clip-norm 0", "argument --clip-norm: must be a number above 0, got '0'"),
    ("--patience 0", "argument --patience: must be a whole number of at least 1, got '0'"),
    ("--schedule linear", "argument --schedule: invalid choice: 'linear'"),
    ("--prior uniform", "argument --prior: invalid choice: 'uniform'"),
])  # fmt: skip
def test_what_does_not_go_together_is_one_line(words, line, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        train(tmp_path / "out", words)
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.count("\n") == 1 and re.search(line, error), error
    assert not (tmp_path / "out").exists()
