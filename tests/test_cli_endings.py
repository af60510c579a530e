"""Whatever ends a command: what it leaves, what it says, and its exit status."""

import errno
import json
import os
import signal
import warnings
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import cli, plots
from tinyvae.cli import jobs, results
from tinyvae.machine import files

SMALL = ["--hidden", "8", "--epochs", "2", "--batch-size", "400"]  # 4 steps an epoch
MINE = """
import os, signal
import numpy as np
from tinyvae.estimators import reparameterization

calls = []

def mine(q, target, eps, objective=None, rng=None):
    draws = reparameterization(q, target, eps, objective, rng)
    calls.append(1)
    if len(calls) == 7:
        {}
    return draws
"""
KILL = "os.kill(os.getpid(), signal.{0}); os.kill(os.getpid(), signal.{0})"


def run(*words):
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


def last_line(capsys):
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text.splitlines()[-1]


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """An empty file in place of each figure: they take most of the time."""
    monkeypatch.setattr(plots, "training", lambda *_: None)
    monkeypatch.setattr(results, "write_figure", lambda args, name, _: (Path(args.out) / name).touch())


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """mine(code): the estimator's word, whose seventh call does that."""
    monkeypatch.chdir(tmp_path)

    def write(code):
        (tmp_path / "mine.py").write_text(MINE.format(code))
        return "mine.py:mine"

    return write


ENDINGS = [
    ("{}['k']", 2, "mine.py, line 12: KeyError: 'k'; what "),
    ("np.ones(10**14)", 2, "mine.py, line 12: MemoryError: Unable to allocate"),
    ("raise GeneratorExit", 2, "mine.py, line 12: GeneratorExit; what "),
    ("raise BrokenPipeError('x')", 2, "mine.py, line 12: BrokenPipeError: x; what "),
    ("draws = draws._replace(f=np.nan * draws.f)", 1, "step 7: the loss became nan"),
    (KILL.format("SIGINT"), 130, "interrupted after 6 steps; what "),
    (KILL.format("SIGTERM"), 143, "interrupted by SIGTERM after 6 steps; what "),
    (KILL.format("SIGHUP"), 129, "interrupted by SIGHUP after 6 steps; what "),
]


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("code, status, words", ENDINGS, ids=[words for *_, words in ENDINGS])
def test_whatever_ends_a_training_leaves_the_same_as_its_end_would(code, status, words, mine, tmp_path, capsys):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert run("train", *SMALL, "--estimator", mine(code), "--checkpoint", "run.npz") == status
    line = last_line(capsys)
    assert line.startswith(f"tinyvae train: {words}") and line.endswith(
        "what was learnt so far is in out/model.npz; the same command goes on after the last whole epoch, from run.npz"
    )
    assert sorted(os.listdir("out")) == ["model.npz", "train.json", "train.png"]
    assert len(json.loads((tmp_path / "out" / "train.json").read_text())["steps"]["loss"]) == 6
    assert not np.array_equal(tv.VAE.load("out/model.npz").theta, tv.VAE.load("run.npz").theta)
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_nothing_comes_between_while_results_are_written(tmp_path, monkeypatch, capsys):
    save = jobs._save

    def disturbed(*args):
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        save(*args)

    monkeypatch.setattr(jobs, "_save", disturbed)
    assert run("train", *SMALL, "--out", tmp_path) == 0
    assert (tmp_path / "train.png").exists()


@pytest.mark.parametrize("name, where", [("model.npz", "unfinished-1/model.npz"), ("train.json", "model.npz")])
def test_a_result_that_cannot_be_written_at_the_end_takes_no_other_with_it(name, where, tmp_path, monkeypatch, capsys):
    write = files.write if name == "train.json" else files.write_npz

    def full(path, content):
        if path == tmp_path / name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, content)

    (tmp_path / "model.npz").write_bytes(b"an earlier one")
    monkeypatch.setattr(files, write.__name__, full)
    assert run("train", *SMALL, "--out", tmp_path) == 2
    line = f"No space left on device: '{tmp_path / name}'; what was learnt so far is in {tmp_path / where}"
    assert last_line(capsys).endswith(line)
    assert tv.VAE.load(tmp_path / where).hidden == (8,)


def test_before_the_first_step_there_is_nothing_to_leave(mine, capsys):
    assert run("train", *SMALL, "--estimator", mine("pass\n    raise KeyboardInterrupt")) == 130
    assert last_line(capsys) == "tinyvae train: interrupted, nothing was written"
    assert not os.path.exists("out")


def test_parameters_that_are_not_finite_are_no_model_but_the_history_stays(tmp_path, capsys):
    assert run("train", *SMALL, "--rate", "3e38", "--batch-size", 800, "--out", tmp_path) == 1
    where = f"; the parameters are not finite, no model was written, and the history is in {tmp_path}"
    assert last_line(capsys).endswith(where)
    assert os.listdir(tmp_path) == ["train.json"]


WRONG = """
import tinyvae as tv

def halved(q, target, eps, objective=None, rng=None):
    draws = tv.estimators.reparameterization(q, target, eps, objective, rng)
    return draws._replace(dparams=draws.dparams / 2)

@tv.estimators.estimator(biased=True)
def frank(q, target, eps, objective=None, rng=None):
    return tv.estimators.reparameterization(q, target, eps, objective, rng)
"""


@pytest.mark.parametrize("n_draws, marked", [(1000, ["halved", "frank"]), (10, ["frank"])])
def test_a_wrong_estimator_that_ranks_well_is_marked(n_draws, marked, tmp_path, monkeypatch, capsys):
    # halved: of quadratic's mu, 6 standard deviations from its mean in each replicate; ten are too few to judge by.
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(WRONG)
    words = ["--estimators", "mine.py:halved", "mine.py:frank", "reparameterization", "--n-draws", n_draws]
    assert run("variance", "--problem", "quadratic", *words) == 0
    text = capsys.readouterr().out
    assert [name for name in ("halved", "frank", "reparameterization") if f" {name} (biased) " in text] == marked
    assert "its rank tells how quiet it is, not how good" in " ".join(text.split())


def test_a_variance_on_grey_pixels_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plots, "variances", lambda *_: None)
    words = ["variance", "--hidden", 8, "--batch-size", 5, "--n-draws", 10, "--estimators", "reparameterization"]
    for more, said in (([], 1), (["--binarize"], 0)):
        assert run(*words, *more, "--out", tmp_path) == 0
        assert capsys.readouterr().out.count("cross-entropy") == said


@pytest.mark.parametrize(
    "last, words",
    [
        (["nowhere"], "estimator must be one of 'reparameterization', "),
        (["mine.py:nothing"], "holds no function 'nothing'"),
        (["vimco", "--n-samples", "1"], "vimco needs n_samples of at least 2, got 1"),
        (["mine.py:mine"], "mine.py, line 12: KeyError: 'k'"),
        (["mine.py:none"], "the estimator must return tv.Draws(f, dparams), got NoneType"),
    ],
)
def test_check_tries_every_estimator_before_the_first_long_run(last, words, mine, monkeypatch, capsys):
    mine("{}['k']")
    Path("mine.py").write_text(Path("mine.py").read_text().replace("== 7", "== 1") + "\ndef none(*args): pass\n")
    monkeypatch.setattr(tv.check, "unbiased", None)
    assert run("check", "reparameterization", *last) == 2
    assert words in last_line(capsys)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="takes on another user's rights")
def test_a_file_that_cannot_be_replaced_is_found_before_the_work(tmp_path, monkeypatch):
    # A folder like /tmp, in which each user replaces his own files alone.
    folder = tmp_path / "sticky"
    folder.mkdir()
    (folder / "model.npz").write_bytes(b"root's")
    os.chmod(folder / "model.npz", 0o666)
    os.chmod(folder, 0o1777)
    args = Namespace(out="sticky")
    monkeypatch.chdir(tmp_path)
    results.require(args, "model.npz")
    for parent in (tmp_path, *tmp_path.parents[:2]):
        os.chmod(parent, 0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(PermissionError, match="there is a file that cannot be replaced: .*model.npz"):
            results.require(args, "model.npz")
        results.require(args, "train.json")
    finally:
        os.seteuid(0)


def test_the_series_of_two_runs_are_not_mixed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", *SMALL, "--epochs", 1, "--save-every", 1]
    assert run(*words, "--out", "a", "--checkpoint", "run.npz") == 0
    earlier = {path: path.read_bytes() for path in Path("a").iterdir()}
    for more in (["--seed", 1], ["--seed", 1, "--checkpoint", "run.npz"], []):  # even its own once more: from where?
        assert run(*words, *more, "--out", "a") == 2
        assert "a/model-0000.npz belongs to the series of another run" in last_line(capsys)
    assert earlier == {path: path.read_bytes() for path in Path("a").iterdir()}
    assert run(*words, "--out", "a", "--checkpoint", "run.npz", "--epochs", 2) == 0  # it goes on
    Path("b").mkdir()
    Path("b/model-0000.npz").write_bytes(Path("a/model-0000.npz").read_bytes())  # killed in the first epoch
    assert run(*words, "--out", "b") == 0
    assert run("train", *SMALL, "--out", "c", "--seed", 1) == 0
    capsys.readouterr()
    assert run("variance", "--model", "a/model-0001.npz", "c/model.npz", "--out", "v", "--n-draws", 10) == 2
    assert "seed is 0 in a/model-0001.npz and 1 in c/model.npz; give those of one run" in last_line(capsys)


def test_a_series_that_a_later_run_cannot_complete_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", *SMALL, "--checkpoint", "run.npz"]
    assert run(*words) == 0
    capsys.readouterr()
    assert run(*words, "--epochs", 3, "--save-every", 1) == 0
    assert last_line(capsys) == (
        "The series lacks model-0001.npz, model-0002.npz: run.npz was past these epochs as this run went on"
    )


def test_a_warning_is_one_line_without_code(monkeypatch, capsys):
    monkeypatch.setitem(cli.COMMANDS, "lessons", lambda args: warnings.warn("few samples are effective: take more"))
    assert run("lessons") == 0
    assert capsys.readouterr().err == "Warning: few samples are effective: take more\n"
