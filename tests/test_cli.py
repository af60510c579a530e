import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import cli, compare
from tinyvae.cli import jobs, words
from tinyvae.likelihoods import Gaussian, SquaredError

COMMANDS = ("compare", "train", "rates", "sample", "fill", "variance", "check", "reproduce")
SMALL = ["--hidden", "16", "--epochs", "2", "--batch-size", "400"]  # a second or so
PNG = b"\x89PNG\r\n\x1a\n"


def run(*words):
    """The exit status of one command."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:  # argparse's way to end
        return stop.code


def widest(text):
    """The length of the longest line; the paths at the end are not counted."""
    return max(map(len, text.split("Written:")[0].splitlines()))


def without_timings(value):
    if isinstance(value, dict):
        return {k: without_timings(v) for k, v in value.items() if not any(word in k for word in ("seconds", "cost"))}
    return [without_timings(v) for v in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.npz"
    tv.VAE(64, 2, hidden=(16,), seed=3).save(path)
    return path


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The folder and the standard output of one small `compare`."""
    folder = tmp_path_factory.mktemp("compare") / "made" / "if missing"
    words = ["compare", "--quick", *SMALL, "--n-draws", "20", "--points", "2", "--seed", "5", "--out", folder]
    done = subprocess.run([sys.executable, "-m", "tinyvae", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout, words[:-1]


# --- help -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_the_default_of_every_option_and_an_example(command, capsys):
    assert run(command, "--help") == 0
    text = capsys.readouterr().out
    assert f"  tinyvae {command}" in text.split("examples:")[1]
    assert "--seed N" in text and "[0]" in text
    options = text.split("examples:")[0].split("\n  --")[1:]
    without_default = {
        "quick",
        "binarize",
        "model",
        "image-shape",
        "problem",
        "decompose",
        "checkpoint",
        "start-at-mean",
        "clip-norm",
        "patience",
        "page",
        *("draw", "manifold", "interpolate", "traverse"),
        *(("data",) if command == "fill" else ()),
    }  # switches, and what is optional
    for option in options:
        assert option.split()[0] in without_default or "[" in option, option


def test_help_names_every_command_and_the_version_is_printed(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert {*COMMANDS} <= {line.split()[0] for line in text.splitlines() if re.match(r" {4}\w", line)}
    assert run("--version") == 0
    assert capsys.readouterr().out == f"tinyvae {tv.__version__}\n"


# --- compare ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
def test_compare_with_the_same_seed_twice_differs_in_timings_only(compared, tmp_path, capsys):
    folder, _, words = compared
    assert run(*words, tmp_path) == 0
    first, second = (json.loads(Path(f, "compare.json").read_text()) for f in (folder, tmp_path))
    assert without_timings(first) == without_timings(second)
    assert first["settings"]["seed"] == 5


def test_compare_writes_a_figure_and_every_number_of_its_table(compared):
    folder, output, _ = compared
    assert sorted(os.listdir(folder)) == ["compare.json", "compare.png"]  # no temporary files left
    assert Path(folder, "compare.png").read_bytes().startswith(PNG)
    record = json.loads(Path(folder, "compare.json").read_text())
    assert list(record["table"]) == ["reparameterization", "score_function", "leave_one_out"]
    for name, row in record["table"].items():
        assert name in output and f"{row['elbo']:.2f}" in output and compare.brief(row["variance"][0]) in output
        assert row["variance_times_step_cost"][0] == pytest.approx(row["variance"][0] * row["step_milliseconds"])
    assert [point["epoch"] for point in record["points"]] == [0, 2]
    assert all(len(curve["elbo"]) == 3 for curve in record["curves"].values())
    assert "black or white" in output and widest(output) <= 118


def test_compare_starts_all_estimators_from_one_initialisation(compared):
    curves = json.loads(Path(compared[0], "compare.json").read_text())["curves"]
    assert len({curve["elbo"][0] for curve in curves.values()}) == 1
    assert len({curve["elbo"][-1] for curve in curves.values()}) == 3


def test_the_words_follow_the_numbers():
    def row(elbo, variance, ratio, cost):
        return {
            "elbo": elbo,
            "variance": [variance] * 3,
            "ratio_to_best": ratio,
            "variance_times_step_cost": [cost] * 3,
        }

    # Made up: the score function best in variance, the other two the other way round in bound and cost.
    table = {
        "a": row(-20.0, 2.0, [2.0, 1.5, 2.5], 5.0),
        "b": row(-21.0, 1.0, [1.0, 1.0, 1.0], 10.0),
        "c": row(-22.5, 1.1, [1.1, 0.9, 1.3], 20.0),
    }
    point = {"estimators": {name: {"encoder": r} for name, r in table.items()}}
    words = compare.verdict(table, [point, point], compare.Settings(epochs=4))
    assert "b gave the encoder's gradient the least variance at 2 of the 2 points" in words["variance"]
    assert (
        "c could not be told apart from it" in words["variance"] and "a had 2 times its variance" in words["variance"]
    )
    assert "a reached the highest bound, -20.00 nats" in words["bound"] and "2.50 above c" in words["bound"]
    more = compare.verdict(table | {"d": row(-23.0, 3.0, [3, 2, 4], 30.0)}, [point], compare.Settings(epochs=4))
    assert "1.00 above b, 2.50 above c and 3.00 above d (one run" in more["bound"]
    assert "a takes the least time, b 2 times as long and c 4 times as long" in words["cost"]


@pytest.mark.parametrize(
    "value, text", [(0.01234, "0.0123"), (1, "1"), (99.96, "100"), (123.4, "123"), (54321.0, "54321"), (0, "0")]
)
def test_numbers_are_printed_with_three_digits(value, text):
    assert compare.brief(value) == text


# --- the single jobs --------------------------------------------------------------------------------------


def test_train_then_sample_then_variance(tmp_path, capsys):
    assert run("train", *SMALL, "--binarize", "--out", tmp_path) == 0
    assert "reconstruction" in capsys.readouterr().out
    history = json.loads((tmp_path / "train.json").read_text())
    assert len(history["steps"]["loss"]) == 2 * 4 and [v["epoch"] for v in history["validation"]] == [1, 2]
    np.testing.assert_allclose(
        history["steps"]["loss"], np.add(history["steps"]["reconstruction"], history["steps"]["kl"]), rtol=1e-5
    )
    model = tmp_path / "model.npz"
    assert tv.VAE.load(model).hidden == (16,)

    assert run("sample", "--model", model, "--n", 7, "--out", tmp_path) == 0
    assert run("variance", "--model", model, "--binarize", "--n-draws", 20, "--out", tmp_path) == 0
    assert "score_function" in capsys.readouterr().out
    measured = json.loads((tmp_path / "variance.json").read_text())["estimators"]
    assert measured["leave_one_out"]["encoder"]["ratio_to_best"][0] > 1
    for name in ("train.png", "samples.png", "variance.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG)


def test_variance_ranks_with_ties_and_shows_the_bias_against_the_exact_gradient(tmp_path, capsys):
    words = ["reparameterization", "score_function", "constant_baseline", "moving_average"]
    assert (
        run(
            "variance",
            "--problem",
            "quadratic",
            "--n-draws",
            2000,
            "--n-samples",
            1,
            "--estimators",
            *words,
            "--out",
            tmp_path,
        )
        == 0
    )
    text = capsys.readouterr().out
    rows = json.loads((tmp_path / "variance.json").read_text())["estimators"]
    assert [rows[name]["mu"]["rank"] for name in words] == ["1", "3-4", "3-4", "2"]
    assert (
        "(biased)" not in text
        and "phi, the" in text
        and text.count("3-4") >= 4
        and "variance x ms" in text
        and "bias" in text
        and "z: |bias| of a coordinate" in text
    )
    assert "1 data point, 1 latent; 1 sample a point" in text
    assert widest(text) <= 118
    for name in words:  # four tests at Bonferroni's 0.001
        assert rows[name]["mu"]["bias"]["p"] > 0.001 and rows[name]["mu"]["bias"]["norm"][2] > 0
        value, milliseconds = rows[name]["mu"]["variance"][0], rows[name]["phi_milliseconds"]
        assert rows[name]["mu"]["variance_times_phi_cost"] == pytest.approx(value * milliseconds)
        assert compare.brief(value) in text
    assert (tmp_path / "variance.png").read_bytes().startswith(PNG)


def test_variance_of_the_bound_decomposed(tmp_path, capsys, model):
    words = [
        "--model",
        model,
        "--objective",
        "importance_weighted",
        "--n-draws",
        50,
        "--batch-size",
        10,
        "--decompose",
        "--n-batches",
        3,
    ]
    assert run("variance", *words, "--out", tmp_path) == 0
    record = json.loads((tmp_path / "variance.json").read_text())
    assert list(record["decomposition"]) == [*record["settings"]["estimators"], "any estimator"]
    assert set(record["estimators"]) == {"reparameterization", "dreg", "vimco"}
    text = capsys.readouterr().out
    assert "relative error" in text and "the minibatch's share" in text
    assert (tmp_path / "decomposition.png").read_bytes().startswith(PNG)


@pytest.mark.usefixtures("undrawn")
def test_variance_along_a_posterior_collapse(tmp_path, capsys):
    # At beta = 30 the posterior becomes the prior: the KL goes to 0, and the pathwise gradient's variance with it.
    words = [
        "--hidden",
        16,
        "--epochs",
        4,
        "--batch-size",
        100,
        "--beta",
        30,
        "--binarize",
        "--rate",
        "1e-2",
        "--save-every",
        2,
        "--out",
        tmp_path,
    ]
    assert run("train", *words) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines() if line.startswith("epoch")] == [
        f"epoch {i}/4" for i in (1, 2, 3, 4)
    ]
    series = [tmp_path / f"model-{epoch:04d}.npz" for epoch in (0, 2, 4)]
    assert sorted(tmp_path.glob("model-*.npz")) == series
    np.testing.assert_array_equal(tv.VAE.load(series[-1]).theta, tv.VAE.load(tmp_path / "model.npz").theta)
    assert run("train", *words[:-4], "--out", tmp_path / "whole") == 0  # in parts or whole: the same
    np.testing.assert_array_equal(tv.VAE.load(series[-1]).theta, tv.VAE.load(tmp_path / "whole" / "model.npz").theta)
    capsys.readouterr()
    assert run("variance", "--model", *series, "--beta", 30, "--binarize", "--n-draws", 100, "--out", tmp_path) == 0
    points = json.loads((tmp_path / "variance.json").read_text())["points"]
    assert points[0]["kl"] > 0.3 and points[-1]["kl"] < 0.05
    first, last = (p["estimators"]["reparameterization"]["encoder"] for p in (points[0], points[-1]))
    assert last["variance"][2] < first["variance"][1] and last["snr"][2] < first["snr"][1]
    text = capsys.readouterr().out
    assert text.count("model-0002, KL ") == 1 and widest(text) <= 118
    assert [line[0] for line in text.splitlines() if line[:1].isdigit()] == ["1", "2", "3"] * 3


@pytest.mark.usefixtures("undrawn")
def test_compare_takes_the_bound_and_its_estimators_by_name(tmp_path):
    words = ["--quick", *SMALL, "--n-draws", 10, "--points", 2, "--objective", "importance_weighted", "--n-samples", 4]
    assert run("compare", *words, "--out", tmp_path) == 0
    assert list(json.loads((tmp_path / "compare.json").read_text())["table"]) == ["reparameterization", "dreg", "vimco"]
    words = [
        "--quick",
        *SMALL,
        "--n-draws",
        10,
        "--points",
        2,
        "--noise",
        "antithetic",
        "--estimators",
        "reparameterization",
        "moving_average",
    ]
    assert run("compare", *words, "--out", tmp_path) == 0


@pytest.mark.usefixtures("undrawn")
def test_grey_pixels_are_said_to_give_a_cross_entropy(tmp_path, capsys):
    assert run("train", *SMALL, "--out", tmp_path) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "cross-entropy" in said and "--likelihood continuous_bernoulli or gaussian" in said
    assert run("train", *SMALL, "--binarize", "--out", tmp_path) == 0
    assert "cross-entropy" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "word, known, said",
    [
        ("gaussian:variance=per_pixel,mean=sigmoid", Gaussian("per_pixel", "sigmoid"), "= reconstruction"),
        ("squared_error", SquaredError, "a Gaussian of variance 1/2, it lacks D/2 log(pi), 36.63 nats"),
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_a_model_is_trained_with_the_likelihood_that_is_named(word, known, said, tmp_path, capsys):
    assert run("train", *SMALL, "--likelihood", word, "--out", tmp_path) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert said in text and "cross-entropy" not in text
    assert tv.VAE.load(tmp_path / "model.npz").likelihood == known


@pytest.mark.parametrize(
    "word, said",
    [
        ("poisson", "likelihood must be one of 'bernoulli', .*, got 'poisson'"),
        ("gaussian:std=2", "the likelihood 'gaussian' has the options variance, mean, floor, got 'std'"),
        ("gaussian:variance", "must be NAME or NAME:option=value,option=value, got 'gaussian:variance'"),
        ("gaussian:", "must be NAME or NAME:option=value,option=value"),
        ("gaussian:variance=-1", "variance must be finite and greater than 0, got -1"),
        ("bernoulli:levels=2", "the likelihood 'bernoulli' has no options"),
        ("categorical:levels=5", "x must hold the 5 grey levels .*; levels=17 fits"),
    ],
)
def test_a_likelihood_that_does_not_fit_is_one_line(word, said, tmp_path, capsys):
    assert run("train", *SMALL, "--likelihood", word, "--out", tmp_path) == 2
    assert re.search(said, capsys.readouterr().err)


@pytest.mark.usefixtures("undrawn")
def test_a_comparison_on_a_density_keeps_the_grey_pixels(tmp_path, capsys):
    words = ["compare", *SMALL, "--n-draws", 10, "--points", 2, "--estimators", "reparameterization"]
    assert run(*words, "--likelihood", "continuous_bernoulli", "--out", tmp_path) == 0
    assert "digits, grey: the bound is that of 'continuous_bernoulli'" in capsys.readouterr().out
    assert json.loads((tmp_path / "compare.json").read_text())["settings"]["likelihood"] == "continuous_bernoulli"
    assert run(*words, "--likelihood", "squared_error", "--out", tmp_path) == 2
    assert "compare asks for a density" in capsys.readouterr().err


MINE = """
import tinyvae as tv

def right(q, target, eps, objective=None, rng=None):
    return tv.estimators.score_function(q, target, eps, objective, rng)

def doubled(q, target, eps, objective=None, rng=None):
    draws = right(q, target, eps, objective, rng)
    return tv.Draws(draws.f, 2 * draws.dparams)

def two(a, b): pass
"""


def test_check_tells_a_right_estimator_of_the_readers_own_from_a_wrong_one(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    assert run("check", "reparameterization", f"{file}:right", "--n-samples", 2, "--bias", 0.5) == 0
    assert run("check", f"{file}:doubled", "--n-samples", 2, "--bias", 0.5) == 1
    text = capsys.readouterr().out
    assert (
        text.count("doubled is biased: its variance and ranks above tell little") == 1 and "right is biased" not in text
    )
    assert (
        "doubled: BIASED" in text and "right: no bias found" in text and "would be found with probability 0.99" in text
    )
    assert "Beside the built-in ones" in text and "d/dmu[0]" in text and text.count("linear_gaussian") == 3
    assert run("check", "dreg", "--n-samples", 2, "--bias", 0.5) == 0
    assert "vimco" in capsys.readouterr().out


@pytest.mark.usefixtures("undrawn")
def test_a_readers_own_estimator_can_be_trained_with(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    assert run("train", *SMALL, "--estimator", f"{tmp_path / 'mine.py'}:right", "--out", tmp_path) == 0


@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_run_is_taken_up_by_the_same_command(tmp_path, monkeypatch, capsys):
    words = ["train", *SMALL, "--binarize", "--save-every", 1]
    assert run(*words, "--out", tmp_path / "whole") == 0
    words += ["--checkpoint", tmp_path / "made" / "run.npz", "--out", tmp_path / "parts"]
    bound = tv.evaluate.bound

    def interrupted(*args):
        if (tmp_path / "made" / "run.npz").exists():
            raise KeyboardInterrupt
        return bound(*args)

    with monkeypatch.context() as patch:
        patch.setattr(tv.evaluate, "bound", interrupted)  # in the second of two epochs
        assert run(*words) == 130
    assert "the same command goes on after the last whole epoch, from " in capsys.readouterr().err
    assert run(*words) == 0
    assert "Going on from" in (text := capsys.readouterr().err) and "epoch 2/2" in text and "epoch 1/2" not in text
    for name in ("model.npz", "model-0000.npz", "model-0001.npz", "model-0002.npz"):
        np.testing.assert_array_equal(
            tv.VAE.load(tmp_path / "whole" / name).theta, tv.VAE.load(tmp_path / "parts" / name).theta
        )
    assert len(json.loads((tmp_path / "parts" / "train.json").read_text())["steps"]["loss"]) == 2 * 4


@pytest.mark.parametrize(
    "ratio, step, remarks",
    [
        (1.2, (4, 5), []),
        (0.9, (4, 5), []),  # small blocks may well be quicker than the products one by one
        (1.2, (4, 10), ["the step varied by a factor of 2.5"]),
    ],
)
def test_bench_says_when_its_times_cannot_be_trusted(ratio, step, remarks):
    quiet = {"median": 3, "low": 3, "high": 4}
    result = {"ratio": {"median": ratio}, "step": {"low": step[0], "high": step[1]}, "floor": quiet, "twins": quiet}
    assert jobs._doubts(result) == remarks


@pytest.mark.parametrize(
    "value, text", [(1.13, "110"), (0.0123, "1.2"), (0, "0"), (8, "800"), (0.00051, "0.051"), (412, "41000")]
)
def test_percentages_have_two_digits_and_no_exponent(value, text):
    assert words.percent(value) == text


@pytest.mark.parametrize("value", [0.001, 0.0123, 1.5, 99.96, 1234.5, 99999])
def test_numbers_and_their_negatives_have_no_exponent(value):
    assert "e" not in words.number(value) and words.number(-value) == "-" + words.number(value)


def test_one_thing_is_not_counted_as_many():
    assert words.counted(1, "sample") == "1 sample" and words.counted(2, "sample") == "2 samples"


# --- what goes wrong --------------------------------------------------------------------------------------

WRONG = [
    ([], "required: COMMAND"),
    (["compaer"], "invalid choice: 'compaer'"),
    (["compare", "--epoch", "3"], "unrecognized arguments: --epoch 3"),
    (["compare", "--epochs", "0"], "--epochs: must be a whole number of at least 1, got '0'"),
    (["compare", "--epochs", "1.5"], "--epochs: must be a whole number of at least 1, got '1.5'"),
    (["compare", "--points", "1"], "--points: must be a whole number of at least 2, got '1'"),
    (["compare", "--seed", "-1"], "--seed: must be a whole number of at least 0, got '-1'"),
    (["compare", "--rate", "0"], "--rate: must be a number above 0, got '0'"),
    (["compare", "--rate", "nan"], "--rate: must be a number above 0, got 'nan'"),
    (["compare", "--rate", "fast"], "--rate: must be a number above 0, got 'fast'"),
    (["compare", "--beta", "-1"], "--beta: must be a number of at least 0, got '-1'"),
    (["compare", "--kl", "exact"], "--kl: invalid choice: 'exact'"),
    (["compare", "--hidden", "0"], "--hidden: must be a whole number of at least 1, got '0'"),
    (["compare", "--estimators", "reinforce"], "estimator must be one of 'reparameterization', "),
    (["compare", "--estimators", "score_function", "score_function"], "must have different names"),
    (["compare", "--n-samples", "1"], "leave_one_out needs n_samples of at least 2, got 1"),
    (["train", "--estimator", "leave_one_out"], "leave_one_out needs n_samples of at least 2, got 1"),
    (["train", "--estimator", "nowhere.py:f"], "nowhere.py: there is no such file"),
    (["train", "--data", "cifar"], "--data: must be one of binarized_mnist, digits, "),
    (["train", "--data", "frey_faces"], "TINYVAE_DATA is not set"),
    (["train", "--activation", "swish"], "--activation: invalid choice: 'swish'"),
    (["sample", "--model", "nowhere.npz"], "no such file: nowhere.npz; train one with `tinyvae train`"),
    (
        ["sample", "--model", "MINE"],
        "mine.py is damaged or is not a model that tinyvae saved: it is not an npz file, or not a whole one",
    ),
    (["sample", "--model", "MODEL", "--n", "0"], "--n: must be a whole number of at least 1, got '0'"),
    (
        ["sample", "--model", "MODEL", "--image-shape", "7", "9"],
        "--image-shape 7 9 has 63 pixels, but the model's images have 64",
    ),
    (["sample", "--model", __file__], "is damaged or is not a model that tinyvae saved"),
    (["variance", "--model", "nowhere.npz"], "no such file: nowhere.npz; train one with `tinyvae train`"),
    (["variance", "--n-draws", "1"], "--n-draws: must be a whole number of at least 2, got '1'"),
    (["variance", "--problem", "cubic"], "--problem: invalid choice: 'cubic'"),
    (["variance", "--problem", "exp", "--beta", "2"], "--problem exp is a plain expectation"),
    (["variance", "--problem", "exp", "--kl", "analytic"], "--problem exp is a plain expectation"),
    (
        ["variance", "--problem", "exp", "--model", "MODEL", "--decompose"],
        "measured without a model and its data: leave out --model and --decompose (see",
    ),
    (
        ["variance", "--problem", "linear_gaussian", "--n-latents", "3"],
        "measured without a model and its data: leave out --n-latents",
    ),
    (
        ["variance", "--problem", "exp", "--hidden=128", "--batch-size", "5", "--data", "digits"],
        "leave out --data and --batch-size and --hidden",
    ),
    (
        ["variance", "--model", "MODEL", "--hidden", "16", "--n-latents", "2"],
        "has its own layers and latents: leave out --hidden and --n-latents",
    ),
    (["variance", "--model", "MODEL", "MODEL", "--decompose"], "--model names several: leave out --decompose"),
    (["variance", "--n-batches", "3"], "without --decompose no minibatches are drawn: leave out --n-batches"),
    (
        ["variance", "--objective", "importance_weighted", "--kl", "analytic"],
        "takes the KL by sampling: leave out --kl",
    ),
    (["variance", "--objective", "importance_weighted", "--beta", "2"], "the importance-weighted bound has no beta"),
    (["variance", "--objective", "iwae"], "--objective: invalid choice: 'iwae'"),
    (["variance", "--noise", "sobol", "--estimators", "leave_one_out"], "sobol noise would bias it"),
    (["variance", "--estimators", "dreg"], "importance-weighted bound: pass objective=tv.ImportanceWeighted()"),
    (["compare", "--noise", "pink"], "--noise: invalid choice: 'pink'"),
    (["train", "--save-every", "-1"], "--save-every: must be a whole number of at least 0, got '-1'"),
    (["check"], "required: ESTIMATOR"),
    (["check", "reinforce"], "estimator must be one of 'reparameterization', "),
    (
        ["check", "MINE"],
        "got the file mine.py; to take a function from it write file.py:name, for example mine.py:my_function",
    ),
    (
        ["compare", "--estimators", "MINE:right"],
        "got mine.py:right; the form file.py:name is for tinyvae train, tinyvae variance and tinyvae check",
    ),
    (
        ["train", "--checkpoint", "MINE", "--epochs", "1"],
        "is not a checkpoint of a training run: it is not an npz file, or not a whole one; give another path",
    ),
    (["check", "MINE:nothing"], "holds no function 'nothing'; it holds right, doubled, two"),
    (["check", "BROKEN:f"], "could not be run: ZeroDivisionError"),
    (["check", "score_function", "--level", "2"], "--level: must be a number of at least 1e-12 and at most 1, got '2'"),
    (["check", "dreg", "--level", "1e-30"], "--level: must be a number of at least 1e-12 and at most 1, got '1e-30'"),
    (
        ["check", "dreg", "--bias", "1e-30"],
        "takes about 4e+61 draws a problem, where a gradient spreads by its own norm",
    ),
    (["check", ":x"], "expected an estimator's name or file.py:name, got ':x'"),
    (["check", "MINE:"], "expected an estimator's name or file.py:name, got 'mine.py:'"),
    (["check", "MINE:two"], "mine.py: expected two(q, target, eps, objective=None, rng=None), got two(a, b)"),
    (["train", "--checkpoint", ""], "--checkpoint: must be a path, got ''"),
    (["compare", "--out", ""], "--out: must be a path, got ''"),
    (["sample", "--model", "MODEL", "--n", "1000000000"], "a figure of 1,000,000,000 images takes about 220,"),
]


@pytest.mark.parametrize(
    "words, message", WRONG, ids=[" ".join(words).replace(str(__file__), "FILE") or "nothing" for words, _ in WRONG]
)
def test_a_wrong_value_gives_one_line_and_status_2(words, message, model, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TINYVAE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    stand_ins = (("MODEL", str(model)), ("MINE", "mine.py"), ("BROKEN", "broken.py"))
    for name, meant in stand_ins:
        words = [word.replace(name, meant) for word in words]
    assert run(*words) == 2
    output = capsys.readouterr()
    lines = [line for line in output.err.splitlines() if not line.startswith(("First run", "Going on from"))]
    assert len(lines) == 1 and lines[0].startswith("tinyvae") and message in lines[0], output.err
    assert "Traceback" not in output.err
    assert not list(tmp_path.rglob("*.npz")) and not list(tmp_path.rglob("*.json"))


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    began = time.perf_counter()
    assert run("compare", "--out", tmp_path / "file") == 2
    assert time.perf_counter() - began < 1
    assert "is a file, and is to be a folder" in capsys.readouterr().err


def test_a_run_that_diverges_has_status_1_and_says_where(tmp_path, capsys):
    with warnings.catch_warnings(action="error"):
        assert run("train", *SMALL, "--rate", "1e30", "--out", tmp_path) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "became" in lines[-1] and "step " in lines[-1] and lines[-1].startswith("tinyvae train:")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_ends_training_with_what_was_learnt_so_far(tmp_path):
    words = ["train", "--hidden", "16", "--epochs", "100000", "--out", str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-m", "tinyvae", *words], stderr=subprocess.PIPE, text=True)
    try:
        while not process.stderr.readline().startswith("epoch 2"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[1]
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in rest
    assert rest.splitlines()[-1].startswith("tinyvae train: interrupted after ")
    assert tv.VAE.load(tmp_path / "model.npz").hidden == (16,)


def test_ctrl_c_during_compare_is_one_line(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "run", interrupted)
    assert run("compare", "--out", tmp_path) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "tinyvae compare: interrupted, nothing was written"


def test_the_help_says_what_the_data_may_be_and_what_an_estimator_needs(capsys):
    for command, expected in (
        ("train", ["digits: 1,437 + 360 grey digits, 8 x 8", "binarized_mnist: 50,000", "TINYVAE_DATA"]),
        ("check", ["leave_one_out 2 samples or more, independent samples", "score_function nothing but f"]),
    ):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        text = " ".join(capsys.readouterr().out.split())
        assert all(phrase in text for phrase in expected)


@pytest.mark.usefixtures("undrawn")
def test_the_record_holds_the_settings_that_applied(tmp_path):
    assert cli.main(["variance", "--problem", "cosine", "--n-draws", "10", "--out", str(tmp_path)]) == 0
    settings = json.loads((tmp_path / "variance.json").read_text())["settings"]
    assert set(settings) == {"problem", "estimators", "n_samples", "n_draws", "noise", "seed"}
    assert cli.main(["variance", "--n-draws", "5", "--batch-size", "5", "--out", str(tmp_path)]) == 0
    settings = json.loads((tmp_path / "variance.json").read_text())["settings"]
    assert {"hidden", "n_latents", "data", "objective", "beta", "kl", "decompose"} < set(settings)
    assert "n_batches" not in settings
