"""`tinyvae bench` and the comparison script.

They run, their numbers hang together, and they leave the package as it was.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import bench
from tinyvae.bench import hardware
from tinyvae.kernels import dense, gaussian
from tinyvae.machine import blas, team
from tinyvae.models import reconstruction

SCRIPT = Path(__file__).parent / "bench" / "run.py"
SIZE = dict(n_features=30, hidden=(20, 10), n_latents=3, batch_size=10)


@pytest.fixture(scope="module")
def result():
    return bench.run(**SIZE, rounds=2, seconds=0.01)


def test_the_parts_add_up_to_the_step(result):
    kernels = result["kernels"]
    assert sum(row["ms"] for row in kernels) + result["rest"]["ms"] == pytest.approx(result["step"]["median"])
    assert sum(row["share"] for row in kernels) + result["rest"]["share"] == pytest.approx(1)
    assert all(row["ms"] > 0 and row["calls"] > 0 for row in kernels)


PARTS = {"forward", "losses", "deltas", "weight_gradients", "update", "gather", "gaussian_kl"}


def test_each_part_of_the_step_is_seen(result):
    rows = {row["name"]: row for row in result["kernels"]}
    assert PARTS <= set(rows) and not {"lead", "step", "bias_tanh", "adam"} & set(rows)
    # Three layers each way, the first of the encoder with 600 weights; the data need no gradient.
    weights, hidden = 2 * (30 * 20 + 20 * 10) + 10 * 6 + 3 * 10, 2 * (20 + 10)
    assert rows["forward"]["flops"] == 2 * 10 * weights + 10 * (20 * hidden + 6 + 30)
    assert rows["deltas"]["flops"] == 2 * 10 * (weights - 30 * 20) + 10 * 3 * hidden
    inputs = 30 + 20 + 10 + 3 + 10 + 20
    assert rows["weight_gradients"]["flops"] == pytest.approx(2 * 10 * (weights + hidden + 6 + 30), rel=0.05)
    assert rows["weight_gradients"]["flops"] - 2 * 10 * (weights + hidden + 36) in (0, 10 * 33, 10 * inputs)
    n_parameters = len(tv.VAE(30, 3, (20, 10)).theta)
    assert rows["update"]["bytes"] == 7 * 4 * n_parameters and rows["update"]["calls"] == 1


def test_rows_of_bits_have_passes_of_their_own():
    vae, x = tv.VAE(30, 3, (100,)), bench.pixels(50, 30, True)
    rows = {row["name"]: row for row in bench.profile(bench.training_step(vae, x[:10], 10), n_steps=2)}
    assert PARTS | {"first_forward", "first_gradient"} <= set(rows)
    assert rows["first_gradient"]["flops"] == (x[:10].sum() + 10) * 100  # additions, and those of the bias
    assert rows["first_forward"]["bytes"] == 10 * 30 + 4 * (31 * 100 + 10 * 100)


def test_the_same_parts_are_seen_where_numpy_does_them(monkeypatch):
    monkeypatch.setattr(team, "usable", lambda: False)
    monkeypatch.setattr(team, "X86", True)
    assert hardware.way() == "NumPy's dot: no BLAS pointer"
    step = bench.training_step(tv.VAE(30, 3, (20, 10)), bench.pixels(50, 30, True), 10)
    assert {row["name"] for row in bench.profile(step, n_steps=1)} >= PARTS


def test_numbers_are_plain_and_in_order(result):
    again = json.loads(json.dumps(result))
    for name in ("step", "floor", "ratio", "twins"):
        assert 0 < again[name]["low"] <= again[name]["median"] <= again[name]["high"]
    assert again["roof"]["cache"] > 0 and again["roof"]["memory"] > 0 and again["roof"]["flops"] > 0
    assert again["speedup"] == pytest.approx(again["twins"]["median"] / again["step"]["median"])


def test_the_table_says_what_was_measured(result):
    text = bench.table(result)
    assert "30-20-10-3-10-20-30 tanh, Bernoulli, batch 10, 13% ones" in text
    machine = result["machine"]
    words = "step / products", "forward", "update", "GB/s", "GFLOP/s", f"NumPy {machine['numpy']}", machine["way"]
    for word in (*words, f"{machine['workers']} worker"):
        assert word in text


@pytest.mark.slow
@pytest.mark.skipif(not (team.usable() and blas.core() in blas.UNPACKED), reason="no kernels to choose between")
def test_the_way_hangs_on_the_name_of_the_kernels():
    text = "from tinyvae.bench import hardware; print(hardware.way())"
    ways = {
        "Haswell": "passes on large blocks for Haswell kernels",
        "SkylakeX": "passes on blocks for SkylakeX kernels",
    }
    for core, way in ways.items():
        env = {**os.environ, "OPENBLAS_CORETYPE": core}
        assert (
            subprocess.run([sys.executable, "-c", text], env=env, capture_output=True, text=True).stdout == way + "\n"
        )


def test_the_package_is_as_before(result):
    def parts():
        return team.run, gaussian.gaussian_sample, reconstruction.same, dense.bias_tanh

    before = parts()
    with pytest.raises(KeyError), bench.replaced(lambda name, function: lambda *args: None):
        assert not any(a is b for a, b in zip(before, parts()))
        raise KeyError
    assert before == parts()


@pytest.mark.parametrize("n_samples", [1, 3])
def test_the_floor_does_the_step_s_products(n_samples, monkeypatch):
    """Of the same shapes, each as often."""
    vae = tv.VAE(30, 3, (20, 10))
    monkeypatch.setattr(team, "usable", lambda: False)  # the passes' twins, whose products are NumPy's
    step, floor = (
        bench.training_step(vae, bench.pixels(50, 30, True), 10, n_samples),
        bench.bare_products(vae, 10, n_samples),
    )
    step()

    def shapes(function):
        seen = []
        dot = np.dot

        def noted(a, b, out=None):
            if a.ndim == b.ndim == 2:
                seen.append((a.shape, b.shape))
            return dot(a, b, out=out)

        with monkeypatch.context() as patch:
            patch.setattr(np, "dot", noted)
            function()
        return sorted(seen)

    assert shapes(step) == shapes(floor) != []


def test_pixels():
    binary, dense_ = bench.pixels(1000, 50, True), bench.pixels(1000, 50, False)
    assert binary.dtype == np.uint8 and abs(binary.mean() - 0.13) < 4 * np.sqrt(0.13 * 0.87 / binary.size)
    assert dense_.dtype == np.float32 and 0 <= dense_.min() < 0.01 < 0.99 < dense_.max() < 1


def test_wrong_sizes_are_refused():
    for arguments in (dict(n_features=0), dict(hidden=(0,)), dict(batch_size=0), dict(rounds=0), dict(seconds=-1.0)):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            bench.run(**arguments)


def compare(folder, *arguments):
    command = [
        sys.executable,
        str(SCRIPT),
        "--quick",
        "--anyway",
        "--without",
        "torch",
        "jax",
        "--out",
        str(folder),
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


@pytest.mark.slow
def test_the_comparison_runs_without_peers_and_goes_on_where_it_stopped(tmp_path):
    done = compare(tmp_path, "--only", "step-64-128-2-binary", "likelihood")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert set(rows) == {"step-64-128-2-binary", "likelihood"}
    step = rows["step-64-128-2-binary"]
    assert set(step["values"]) == {"tinyvae", "bare products", "NumPy twins"}
    assert step["absent"] == dict.fromkeys(("PyTorch eager", "torch.compile", "JAX jit"), "left out")
    table = (tmp_path / "bench.md").read_text()
    assert "NumPy twins" in table and "left out" in table

    done = compare(tmp_path, "--only", "step-64-128-2-binary", "likelihood")
    assert done.returncode == 0 and "0 rows" in done.stdout
    assert json.loads((tmp_path / "bench.json").read_text())["rows"] == rows


@pytest.mark.slow
def test_a_contender_that_fails_is_named(tmp_path):
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        import run
    finally:
        sys.path.remove(str(SCRIPT.parent))
    options = run.parse(["--quick", "--without", "torch", "jax"])
    row = run.Row(
        "a row",
        "train_step",
        {"sizes": (8, 4, 2, 4, 8), "batch_size": 5, "binary": True},
        {"tinyvae": run.Contender("ours"), "broken": run.Contender("ours", {"no_such_argument": 1})},
        {},
    )
    result = run.compare(row, options)
    assert "no_such_argument" in result["absent"]["broken"]
    assert "tinyvae" in result["values"]
