"""What was done to the command line to break it: results in the way of each other, closed streams, wrong files."""

import errno
import io
import json
import os
import subprocess
import sys
import types

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import __main__ as entry
from tinyvae import cli, compare
from tinyvae.machine import files

pytestmark = pytest.mark.slow  # most start a process of their own

SMALL = ["--hidden", "8", "--epochs", "1", "--batch-size", "400"]
QUADRATIC = ["variance", "--problem", "quadratic", "--n-draws", "10"]


def run(*words):
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


def last_line(capsys):
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text.splitlines()[-1]


def in_a_shell(line, folder, **env):
    """Run a line with $T for the command, in `folder`."""
    env = (
        os.environ | {"T": f"{sys.executable} -m tinyvae", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | env
    )
    return subprocess.run(["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture
def trained(monkeypatch):
    """The names of the runs that began to train, which none is let do."""
    begun = []
    monkeypatch.setattr(tv, "fit", lambda *_, **__: begun.append("train"))
    monkeypatch.setattr(compare, "run", lambda *_, **__: begun.append("compare"))
    return begun


# --- results in the way, or with no way -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.npz", "train.json", "train.png", "model-0007.npz", "../out/model.npz"])
def test_a_checkpoint_under_a_result_s_name_is_refused_at_the_start(name, tmp_path, capsys, trained):
    out = tmp_path / "out"
    assert run("train", *SMALL, "--out", out, "--checkpoint", f"{out}/{name}") == 2
    assert "is where a result of this run goes: give another name" in last_line(capsys)
    assert not trained and not out.exists()


@pytest.mark.parametrize(
    "command, name",
    [
        (["train", *SMALL], "model.npz"),
        (["train", *SMALL], "train.json"),
        (["train", *SMALL], "train.png"),
        (["train", *SMALL, "--checkpoint", "run.npz"], "run.npz"),
        (["compare"], "compare.png"),
        (["compare"], "compare.json"),
        (QUADRATIC, "variance.json"),
    ],
)
def test_a_folder_in_a_result_s_place_is_noticed_before_the_work(command, name, tmp_path, monkeypatch, capsys, trained):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert run(*command, "--out", ".") == 2
    assert last_line(capsys).endswith(f"Is a directory: '{name}'")
    assert not trained and os.listdir(tmp_path) == [name]


def test_a_device_is_not_replaced_by_a_checkpoint(tmp_path, capsys, trained):
    device = tmp_path / "device"
    os.mkfifo(device)
    assert run("train", *SMALL, "--out", tmp_path / "out", "--checkpoint", device) == 2
    assert "not a file that can be replaced" in last_line(capsys) and not device.is_file() and not trained


def test_a_file_is_writable_where_it_can_be_written_and_nothing_is_left(tmp_path):
    path = tmp_path / "model.npz"
    files.require_writable(path, 1000)
    assert os.listdir(tmp_path) == []
    path.write_bytes(b"old")
    files.require_writable(path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["model.npz"]
    for place in (tmp_path, path / "under a file", tmp_path / "nowhere" / "model.npz"):
        with pytest.raises(OSError, match=str(place)):
            files.require_writable(place)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_full_disk_is_noticed_before_the_training(tmp_path):
    # A limit of 500 kB on a file stands for the disk.
    done = in_a_shell(f"ulimit -f 500; $T train {' '.join(SMALL)} --out .", tmp_path)
    assert done.returncode == 2 and "model.npz" in done.stderr.splitlines()[-1] and "epoch" not in done.stderr
    assert os.listdir(tmp_path) == []


def test_where_a_checkpoint_fails_the_model_is_saved_and_an_earlier_one_kept(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "run.npz")

    assert run("train", *SMALL, "--out", tmp_path) == 0
    good = (tmp_path / "model.npz").read_bytes()
    monkeypatch.setattr(tv.training.checkpoints, "save", full)
    monkeypatch.chdir(tmp_path)
    for out, kept in ((tmp_path / "fresh", "model.npz"), (tmp_path, "unfinished-1/model.npz")):
        assert run("train", *SMALL, "--seed", 1, "--checkpoint", "run.npz", "--out", out) == 2
        line = last_line(capsys)
        assert "No space left on device: 'run.npz'; what was learnt so far is in " in line and line.endswith(kept)
        fresh = tv.VAE(64, 2, (8,), seed=1)
        assert not np.array_equal(tv.VAE.load(out / kept).theta, fresh.theta)
    assert (tmp_path / "model.npz").read_bytes() == good


def test_an_interrupted_run_leaves_an_earlier_model_in_its_place(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    assert run("train", *SMALL, "--out", tmp_path) == 0
    earlier = {name: (tmp_path / name).read_bytes() for name in ("model.npz", "train.json", "train.png")}
    with monkeypatch.context() as patch:
        patch.setattr(tv.evaluate, "bound", interrupted)
        for i in (1, 2):
            assert run("train", *SMALL, "--seed", i, "--out", tmp_path) == 130
            assert last_line(capsys).endswith(f"what was learnt so far is in {tmp_path}/unfinished-{i}/model.npz")
            assert json.loads((tmp_path / f"unfinished-{i}" / "train.json").read_text())["settings"]["seed"] == i
    assert earlier == {name: (tmp_path / name).read_bytes() for name in earlier}
    assert run("train", *SMALL, "--seed", 3, "--out", tmp_path) == 0  # a whole run takes its place
    assert earlier["model.npz"] != (tmp_path / "model.npz").read_bytes()


# --- messages and statuses --------------------------------------------------------------------------------


def test_ctrl_c_names_what_was_written(tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(tv, "fit", interrupted)
    assert run("train", *SMALL, "--save-every", 1, "--out", tmp_path) == 130
    assert last_line(capsys) == f"tinyvae train: interrupted; written so far: {tmp_path}/model-0000.npz"


def test_ctrl_c_while_the_words_are_read_or_the_modules_loaded(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cli.options, "parse", interrupted)
        assert entry.main() == 130
    assert last_line(capsys) == "tinyvae interrupted, nothing was written"
    loading = types.ModuleType("tinyvae.cli")
    loading.__getattr__ = interrupted
    monkeypatch.setitem(sys.modules, "tinyvae.cli", loading)
    assert entry.main() == 130
    assert last_line(capsys) == "tinyvae interrupted, nothing was written"


READERS = """import sys
import numpy as np
def value(q, target, eps, objective=None, rng=None):
    raise ValueError("bad")
def library(q, target, eps, objective=None, rng=None):
    np.dot(np.ones(3), np.ones(4))
def key(q, target, eps, objective=None, rng=None):
    {}["k"]
def stop(q, target, eps, objective=None, rng=None):
    next(iter(()))
def leave(q, target, eps, objective=None, rng=None):
    sys.exit(0)
def memory(q, target, eps, objective=None, rng=None):
    np.ones(10**14)
class Needs:
    def __init__(self, x): pass
"""


@pytest.mark.parametrize("command", ["train", "check", "variance"])
@pytest.mark.parametrize(
    "name, line, words",
    [
        ("value", 4, "bad"),
        ("library", 6, "not aligned"),
        ("key", 8, "KeyError: 'k'"),
        ("stop", 10, "StopIteration"),
        ("leave", 12, "SystemExit: 0"),
        ("memory", 14, "MemoryError: Unable to allocate"),
        ("Needs", None, "Needs() could not be made: TypeError"),
    ],
)
def test_what_a_reader_s_function_raises_keeps_its_line(command, name, line, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(READERS)
    commands = {
        "train": ["train", *SMALL, "--out", "out", "--estimator", f"mine.py:{name}"],
        "check": ["check", f"mine.py:{name}", "--n-samples", "2"],
        "variance": [*QUADRATIC, "--out", "out", "--estimators", f"mine.py:{name}"],
    }
    assert run(*commands[command]) == 2
    text = last_line(capsys)
    assert text.startswith(f"tinyvae {command}: mine.py" + f", line {line}: " * (line is not None)) and words in text


@pytest.mark.parametrize("code, words", [("sys.exit(0)", "SystemExit: 0"), ("1 / 0", "ZeroDivisionError: ")])
def test_a_reader_s_file_that_ends_the_process_or_fails_is_an_error_with_its_line(
    code, words, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(f"import sys\n{code}\ndef f(): pass\n")
    assert run("check", "mine.py:f") == 2
    assert last_line(capsys).startswith(f"tinyvae check: mine.py, line 2: mine.py could not be run: {words}")


def test_a_reader_s_file_imports_what_lies_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "tinyvae_helper_1.py").write_text("from tinyvae.estimators import score_function\n")
    (tmp_path / "tinyvae_helper_2.py").write_text("")
    (tmp_path / "mine.py").write_text(
        "import tinyvae_helper_1\n"
        "def f(*args, **options):\n"
        "    import tinyvae_helper_2\n"
        "    return tinyvae_helper_1.score_function(*args, **options)\n"
    )
    assert run(*QUADRATIC, "--out", tmp_path, "--estimators", f"{tmp_path}/mine.py:f") == 0


def test_too_little_memory_is_one_line_with_options_that_the_command_has(tmp_path, capsys):
    assert run("train", *SMALL, "--hidden", 10**9, "--out", tmp_path) == 2
    line = last_line(capsys)
    assert "not enough memory: Unable to allocate" in line and "give a smaller --hidden, " in line
    assert "--n-draws" not in line
    assert run("train", *SMALL, "--hidden", "9" * 20, "--out", tmp_path) == 2
    assert "--hidden: must be a whole number of at least 1 and at most 1000000000, got '999" in last_line(capsys)


@pytest.mark.parametrize(
    "words", [["train", "--beta", "1e39"], ["train", "--rate", "1e-320"], ["check", "dreg", "--bias", "1e-320"]]
)
def test_a_number_that_float32_cannot_hold_is_refused(words, capsys):
    assert run(*words) == 2
    assert f"{words[-2]}: must be a number that float32 can hold, 1.2e-38 to 3.4e+38, got" in last_line(capsys)


def test_advice_names_options_that_the_command_takes(tmp_path, capsys):
    assert run(*QUADRATIC, "--estimators", "dreg", "--out", tmp_path) == 2
    assert "take --problem linear_gaussian or a model, with --objective importance_weighted" in last_line(capsys)
    assert run("train", "--epoch", 3) == 2
    assert last_line(capsys) == "tinyvae train: unrecognized arguments: --epoch 3 (see tinyvae train --help)"


def test_a_terminal_that_knows_ascii_only_gets_the_tables(tmp_path, monkeypatch):
    data = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(data, encoding="ascii"))
    assert run(*QUADRATIC, "--out", tmp_path / "caf\udce9") == 0
    assert b"nats^2" in data.getvalue() and b"caf\\udce9" in data.getvalue()


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    "line, statuses, error",
    [
        ("{} 2>&-", {0}, ""),
        ("{} >&- 2>&- <&-", {0}, ""),
        ("{} | true; exit ${{PIPESTATUS[0]}}", {141}, ""),
        ("$T --help | true; exit ${{PIPESTATUS[0]}}", {0, 141}, ""),  # argparse may swallow it
        ("{} > /dev/full", {2}, "tinyvae variance: [Errno 28] No space left on device"),
    ],
)
def test_streams_that_are_closed_full_or_broken(line, statuses, error, tmp_path):
    if "/dev/full" in line and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    done = in_a_shell(line.format("$T " + " ".join(QUADRATIC) + " --out ."), tmp_path)
    assert done.returncode in statuses and done.stderr.strip() == error
    assert "--help" in line or {"variance.json", "variance.png"} <= set(os.listdir(tmp_path))
