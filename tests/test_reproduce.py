"""Published experiments by one command: what is run, kept, refused, and written."""

import dataclasses
import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import plots, reproduce
from tinyvae.cli import main
from tinyvae.machine import files
from tinyvae.reproduce import mohamed2020, page, rainforth2018, rows, training
from tinyvae.reproduce.run import require_data

NAMES = reproduce.names()
BITS = tv.datasets.binarize(tv.datasets.load("digits").train[:90], np.random.default_rng(0))


class Killed(BaseException):
    """What no part catches."""


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_shows_what_the_command_asks_for(name):
    experiment = reproduce.find(name)
    assert set(experiment.RECIPES) == {"short", "full", "miniature"} and experiment.TITLE and experiment.SOURCE
    assert 0 < experiment.MINUTES["short"] <= 60 and experiment.MINUTES["full"] >= experiment.MINUTES["short"]
    require_data(name, experiment.RECIPES["miniature"])  # it comes with the package


SLOW = ("kingma2014", "loaiza2019", "mohamed2020")  # their miniatures take seconds


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in NAMES])
def test_a_miniature_runs_twice_to_the_same_numbers(name, tmp_path):
    experiment, found = reproduce.find(name), []
    for run in "ab":
        found.append(reproduce.run(name, experiment, experiment.RECIPES["miniature"], 3, tmp_path / run))
    assert found[0].results.keys() == found[1].results.keys()
    assert [str(row) for row in experiment.rows(found[0].results)] == [
        str(row) for row in experiment.rows(found[1].results)
    ]
    plots.save(experiment.figure(found[0].results), tmp_path / "figure.png")


# --- training that goes on ---------------------------------------------------------------------------------


def trained(checkpoint, killed_at=None, wanted=(0, 2, 3), estimator="reparameterization", latents="gaussian"):
    """A small model's parameters and curve; steps are counted, and the last one kills."""
    vae = tv.VAE(64, 2, (5,), seed=1, latents=latents)

    def measure(epoch):
        return {"bound": tv.evaluate.bound(vae, BITS).loss} if epoch in wanted else {}

    steps = training.steps

    def dying(plan, last):
        for record in steps(plan, last):
            if record.step == killed_at:
                raise Killed
            yield record

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "steps", dying)
        rate = tv.schedules.Cosine(3e-3, 9)
        options = {"estimator": estimator, "batch_size": 30, "seed": 2}
        curve = training.train(vae, BITS, checkpoint, tv.Adam(rate), 3, measure, **options)
    return vae.theta, [{name: value for name, value in row.items() if name != "seconds"} for row in curve]


def test_a_training_killed_at_any_step_ends_with_the_same_bits(tmp_path):
    theta, curve = trained(None)
    assert [row["epoch"] for row in curve] == [0, 2, 3] and curve[0]["loss"] is None
    plain = tv.VAE(64, 2, (5,), seed=1)
    records = list(
        tv.train(plain, BITS, optimizer=tv.Adam(tv.schedules.Cosine(3e-3, 9)), epochs=3, batch_size=30, seed=2)
    )
    np.testing.assert_array_equal(theta, plain.theta)
    assert curve[1]["loss"] == np.mean([record.loss for record in records[:6]])
    path = tmp_path / "run.npz"
    for step in range(1, 10):
        with pytest.raises(Killed):
            trained(path, step)  # each goes on from the one before
    again, curve_again = trained(path)
    np.testing.assert_array_equal(again, theta)
    assert curve_again == curve
    assert tv.VAE.load(path).n_latents == 2  # a checkpoint is a model, too


def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path):
    (tmp_path / "run.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="is damaged: .*; remove it, and its part begins anew"):
        trained(tmp_path / "run.npz")
    forgetful = functools.partial(tv.estimators.resolve("score_function"))
    forgetful.update = lambda: None
    with pytest.raises(TypeError, match=r"a checkpoint needs an estimator with state\(\) and restore\(state\), got"):
        training.train(tv.VAE(64, 2), BITS, None, tv.Adam(1e-3), 1, estimator=forgetful)


def annealed():
    return tv.estimators.GumbelSoftmax(tv.schedules.Linear(1, 0.3, 9))


@pytest.mark.parametrize("make", [tv.estimators.InputDependent, tv.estimators.Rebar, tv.estimators.Relax, annealed])
def test_what_an_estimator_learnt_goes_on_after_a_kill(make, tmp_path):
    theta, curve = trained(None, estimator=make(), latents="binary")
    for step in (5, 8):
        with pytest.raises(Killed):
            trained(tmp_path / "run.npz", step, estimator=make(), latents="binary")
    again, curve_again = trained(tmp_path / "run.npz", estimator=make(), latents="binary")
    np.testing.assert_array_equal(again, theta)
    assert curve_again == curve


# --- the frame ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Settings:
    sizes: tuple = (1, 2)


def experiment(log, dying=()):
    """Two parts, which say when they run and may die."""

    def part(name):
        def run(checkpoint):
            log.append(name)
            if name in dying:
                checkpoint.write_bytes(b"half")
                raise Killed
            return {"value": np.float32(0.1), "list": np.arange(2), "none": None, "nan": float("nan")}

        return run

    def found(results):
        return [reproduce.Row("a|b", 1.0, results["one"]["value"], 0.05, 0.15, "nats", "by hand")]

    return SimpleNamespace(
        TITLE="A title", SOURCE="A source", MINUTES={"short": 1, "full": 1}, RECIPES={"short": Settings()},
        parts=lambda settings, seed: {name: part(name) for name in ("one", "two")}, rows=found,
    )  # fmt: skip


def test_a_part_that_is_finished_is_not_run_again(tmp_path):
    log = []
    with pytest.raises(Killed):
        reproduce.run("x", experiment(log, dying=("two",)), Settings(), 0, tmp_path / "a")
    outcome = reproduce.run("x", experiment(log), Settings(), 0, tmp_path / "a")
    assert log == ["one", "two", "two"]
    assert outcome.results["one"]["list"] == [0, 1] and outcome.results["one"]["value"] == float(np.float32(0.1))
    assert reproduce.run("x", experiment(log), Settings(), 0, tmp_path / "a").seconds == outcome.seconds
    assert log == ["one", "two", "two"]
    whole = reproduce.run("x", experiment(log), Settings(), 0, tmp_path / "b")
    assert str(whole.results) == str(outcome.results)


def test_what_an_earlier_checkpoint_cost_is_counted(tmp_path):
    folder = tmp_path / "a"
    with pytest.raises(Killed):
        reproduce.run("x", experiment([], dying=("one",)), Settings(), 0, folder)
    begun = json.loads((folder / "one.begun.json").read_text())
    os.utime(folder / "one.npz", (begun["at"] + 100,) * 2)
    assert 100 <= reproduce.run("x", experiment([]), Settings(), 0, folder).seconds["one"] < 101


def test_other_settings_are_refused_in_one_line(tmp_path):
    reproduce.run("x", experiment([]), Settings(), 0, tmp_path)
    with pytest.raises(
        ValueError, match=r"holds a run of other settings: sizes is \[1, 2\] there and \[3\] here; seed"
    ):
        reproduce.run("x", experiment([]), Settings((3,)), 1, tmp_path)
    (tmp_path / "one.json").write_text("{}")
    with pytest.raises(ValueError, match="one.json is damaged: .*; remove it"):
        reproduce.run("x", experiment([]), Settings(), 0, tmp_path)


@pytest.mark.parametrize("writing", [1, 2, 3, 4, 5])
def test_a_kill_while_a_file_is_written_leaves_a_folder_that_goes_on(writing, tmp_path, monkeypatch):
    written, write = [], files.write

    def dying(path, data):
        written.append(path)
        if len(written) == writing:
            raise Killed
        write(path, data)

    monkeypatch.setattr(files, "write", dying)
    with pytest.raises(Killed):
        reproduce.run("x", experiment([]), Settings(), 0, tmp_path)
    monkeypatch.undo()
    assert str(reproduce.run("x", experiment([]), Settings(), 0, tmp_path).results["two"])


def test_missing_data_are_named_with_their_source(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("TINYVAE_DATA", raising=False)
    assert main(["reproduce", "burda2016", "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "binarized_mnist_train.npz" in line and "TINYVAE_DATA" in line and "Larochelle" in line
    assert not (tmp_path / "out").exists()


# --- words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row, expected", [
    (reproduce.Row("a", 88.71, 89.912, 89.7, 90.1, "nats"), ("a", "88.71", "89.91", "89.70 to 90.10", "nats")),
    (reproduce.Row("a", (89.8, 89.9), 12345.6, 12000.0, 13000.0), ("a", "89.8 to 89.9", "12346", "12000 to 13000", "")),
    (reproduce.Row("a", "exact 2", 19, 19, 19), ("a", "exact 2", "19", "19 to 19", "")),
    (reproduce.Row("a", None, 0.0123456), ("a", "", "0.01235", "", "")),
    (reproduce.Row("a", -0.5), ("a", "-0.5", "", "", "")),
    (reproduce.Row("a", None, float("nan")), ("a", "", "nan", "", "")),
])  # fmt: skip
def test_a_row_has_the_digits_that_its_interval_makes_sense_of(row, expected):
    assert rows.cells(row) == expected


def test_a_page_s_section_is_replaced_and_the_others_stay(tmp_path):
    outcome = reproduce.run("x", experiment([]), Settings(), 0, tmp_path)
    text = page.section("x", experiment([]), "full", 1, outcome, "0.1")
    assert (
        "| a\\|b | 1 | 0.100 | 0.050 to 0.150 | nats |" in text
        and "`tinyvae reproduce x --recipe full --seed 1`" in text
    )
    once = page.replaced("", "x", text)
    both = page.replaced(once, "y", "## Y\n\\1")
    assert both.startswith("# Reproduced\n") and both.index("## A title") < both.index("## Y")
    again = page.replaced(both, "x", "## New")
    assert "## New" in again and "A title" not in again and "## Y" in again
    assert page.replaced(again, "x", text) == both


def test_without_a_name_the_experiments_are_listed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed and reproduce.find(name).TITLE in printed for name in NAMES)
    assert "Needs binarized_mnist; short" in " ".join(printed.split()) and not list(tmp_path.iterdir())
    for words, message in (["--seed", "1"], "none is run"), (["nobody2020"], "nobody2020"):
        try:
            assert main(["reproduce", *words]) == 2
        except SystemExit as exit:
            assert exit.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert not list(tmp_path.iterdir())


def test_the_command_writes_a_table_a_figure_a_file_and_a_page(tmp_path, capsys):
    out, md = tmp_path / "out", tmp_path / "reproduced.md"
    words = ["reproduce", "rainforth2018", "--recipe", "miniature", "--out", str(out), "--page", str(md)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "published  measured" in printed and "seed 0" in printed
    record = json.loads((out / "rainforth2018.json").read_text())
    assert record["settings"]["n_draws"] == 100 and record["rows"][0]["published"] == -0.5
    first = md.read_text()
    assert main(words) == 0  # nothing is run again
    assert md.read_text() == first and (tmp_path / "reproduced_rainforth2018.png").exists()
    assert main([*words, "--seed", "1"]) == 2
    assert "other settings: seed is 0 there and 1 here" in capsys.readouterr().err


def test_ctrl_c_is_one_line_that_says_how_it_goes_on(tmp_path, capsys, monkeypatch):
    def interrupted(checkpoint):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(rainforth2018, "parts", lambda settings, seed: {"one": interrupted})
    assert main(["reproduce", "rainforth2018", "--out", str(tmp_path / "out")]) == 130
    (_, line) = capsys.readouterr().err.splitlines()
    assert line.startswith("tinyvae reproduce: interrupted; the same command goes on") and str(tmp_path / "out") in line


@pytest.mark.slow
def test_a_miniature_killed_at_random_moments_ends_with_the_same_numbers(tmp_path):
    def start(out):
        words = ["-P", "-m", "tinyvae", "reproduce", "burda2016", "--recipe", "miniature", "--out", str(tmp_path / out)]
        return subprocess.Popen([sys.executable, *words], env=dict(os.environ), stderr=subprocess.DEVNULL)

    def record(out):
        found = json.loads((tmp_path / out / "burda2016.json").read_text())
        curves = [part.pop("curve") for part in found["parts"].values()]
        return found["rows"], found["parts"], [{**curve, "seconds": None} for curve in curves]

    assert start("whole").wait() == 0
    rng, kills = random.Random(0), 0
    while True:
        process, folder = start("killed"), tmp_path / "killed" / "burda2016"
        began = time.monotonic()
        while process.poll() is None and not folder.exists() and time.monotonic() - began < 60:
            time.sleep(0.01)
        try:
            process.wait(rng.uniform(0.1, 1) if kills < 5 else 120)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills and process.returncode == 0 and record("killed") == record("whole")


# --- the experiments ---------------------------------------------------------------------------------------


def test_the_exact_variances_are_those_of_the_reference_table():
    table = {  # mu, then sigma: score function, pathwise, measure-valued
        ("exp(-k z^2)", 0.1): (0.563532, 0.016290, 0.002509, 0.935384, 0.027770, 0.021971),
        ("exp(-k z^2)", 1.0): (0.175750, 0.211723, 0.012568, 0.176690, 0.175731, 0.070665),
        ("cos(k z)", 0.5): (0.455248, 0.039285, 0.008275, 0.798658, 0.087513, 0.065266),
    }
    ways = "score function", "pathwise", "measure-valued"
    for (family, k), expected in table.items():
        found = mohamed2020.exact(family, k)
        values = [found[block][way] for block in ("mu", "sigma") for way in ways]
        np.testing.assert_allclose(values, expected, rtol=0, atol=1.1e-6)
    growth = mohamed2020.exact_growth(1)
    np.testing.assert_allclose(list(growth.values()), (495, 138, 4, 17.487331), rtol=1e-7)


def test_measured_variances_are_the_exact_ones():
    settings = mohamed2020.Settings(exp=(0.3, 3.0), cos=(0.5, 3.0), dimensions=(1, 6), n_draws=500, groups=20)
    results = {name: part(None) for name, part in mohamed2020.parts(settings, 1).items()}
    off = []
    for family, result in results["shape"].items():
        for i, k in enumerate(result["k"]):
            truth = mohamed2020.exact(family, k)
            off += [_off(result[block][way][i], truth[block][way]) for block in ("mu", "sigma") for way in truth["mu"]]
    for i, dimension in enumerate(results["dimension"]["dimensions"]):
        truth = mohamed2020.exact_growth(dimension)
        off += [_off(results["dimension"][way][i], truth[way]) for way in truth]
    assert max(map(abs, off)) < 5  # of 40, Student's t with 19 degrees of freedom


def _off(interval, truth):
    value, low, high = interval
    return 2 * 2.093 * (value - truth) / (high - low)


def test_the_slopes_of_the_signal_to_noise_ratio_are_those_of_the_theory():
    settings = rainforth2018.Settings(counts=(16, 256), n_draws=1500, n_latents=2)
    found = rainforth2018.parts(settings, 0)["one_latent"](None)
    exact = {"phi": (0.128, 0.0316), "phi by DReG": (5.21, 20.7), "theta": (2.51, 9.70)}
    for way, values in exact.items():
        errors = np.array(found[way]["error"])
        assert np.all(np.abs(np.log(found[way]["snr"]) - np.log(values)) < 4 * errors + 0.003), way
        value, error = rainforth2018.slope((16, 256), *found[way].values())
        assert abs(value - rainforth2018.PUBLISHED[way]) < 4 * error + 0.02
        assert error < 0.05
    assert rainforth2018.slope((1, 2, 4), (3.0, 6.0, 12.0), (0.1, 0.2, 0.1)) == (
        pytest.approx(1),
        pytest.approx(0.1 / 2**0.5 / np.log(2)),
    )
