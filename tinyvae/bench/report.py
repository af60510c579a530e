"""What a training step costs on this machine: measured, and as a table."""

import json
import os
import subprocess
import sys
import time

from tinyvae import validate
from tinyvae.bench.hardware import bandwidth, machine, peak
from tinyvae.bench.profile import profile
from tinyvae.bench.timing import N_ROWS, ONES, alternate, bare_products, milliseconds, pixels, ratio, training_step
from tinyvae.models import VAE

__all__ = ["run", "table", "print_step"]


def run(n_features=784, hidden=(500,), n_latents=20, batch_size=100, binary=True, rounds=10, seconds=0.2):
    """Measure one training step of a tanh VAE in float32.

    About 4 rounds x seconds + 8 s in all.

    Parameters
    ----------
    n_features, n_latents : int
        D and K.
    hidden : tuple of int
        The encoder's hidden sizes, which the decoder mirrors.
    batch_size : int
        Data points a step.
    binary : bool
        13% ones in uint8, or uniform in [0, 1] in float32.
    rounds : int
        The step and its bare matrix products take turns, `rounds` blocks each.
    seconds : float
        Of a block.

    Returns
    -------
    dict
        Of plain numbers; `table` makes text of it.

        machine, size: what the numbers depend on; seconds: how long it all took
        step, floor, twins: milliseconds of the step, its matrix products, the step on NumPy twins alone (in a process
            of its own)
        ratio: step / floor, from neighbouring blocks;  speedup: twins / step
        kernels: for each pass and loop the calls, ms, bytes and flops of a step, and its share;  rest: what they leave
            of the step, Python's
        roof: GB/s from memory and from the cache, GFLOP/s of a large product

    Raises
    ------
    ValueError or TypeError
        For sizes that do not fit.
    """
    validate.integer("rounds", rounds, least=1)
    validate.number("seconds", seconds, least=0)
    size = {
        "n_features": n_features,
        "hidden": tuple(hidden),
        "n_latents": n_latents,
        "batch_size": batch_size,
        "binary": bool(binary),
    }
    result = {"machine": machine(), "size": size}
    began = time.perf_counter()
    vae = VAE(n_features, n_latents, hidden, seed=0)
    step, floor = training_step(vae, pixels(N_ROWS, n_features, binary), batch_size), bare_products(vae, batch_size)
    result["roof"] = {"memory": bandwidth(240_000_000), "cache": bandwidth(600_000, threads=1), "flops": peak()}
    for _ in range(5):
        step()
    times = alternate({"step": step, "floor": floor}, rounds, seconds)
    result |= {name: milliseconds(times[name]) for name in times}
    result["ratio"] = ratio(times["step"], times["floor"])
    result["kernels"] = profile(step)
    whole = result["step"]["median"]
    for row in result["kernels"]:
        row["share"] = row["ms"] / whole
    rest = whole - sum(row["ms"] for row in result["kernels"])
    result["rest"] = {"ms": rest, "share": rest / whole}
    result["twins"] = _twins(size, seconds * rounds)
    result["speedup"] = result["twins"]["median"] / whole
    result["seconds"] = time.perf_counter() - began
    return result


def _twins(size, seconds):
    """The step's milliseconds with TINYVAE_NUMPY=1, which is read when the package is loaded: hence another process."""
    arguments = [sys.executable, "-c", "from tinyvae import bench; bench.print_step()", json.dumps([size, seconds])]
    env = {**os.environ, "TINYVAE_NUMPY": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return json.loads(subprocess.run(arguments, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout)


def print_step():
    """What the process of the twins runs: it prints the step's milliseconds as JSON.

    The sizes and seconds come as JSON in the process's first argument.
    """
    size, seconds = json.loads(sys.argv[1])
    vae = VAE(size["n_features"], size["n_latents"], tuple(size["hidden"]), seed=0)
    step = training_step(vae, pixels(N_ROWS, size["n_features"], size["binary"]), size["batch_size"])
    print(json.dumps(milliseconds(alternate({"step": step}, 1, seconds)["step"])))


def table(result):
    """The text that `tinyvae bench` prints.

    Parameters
    ----------
    result : dict
        What `run` returned.

    Returns
    -------
    str
        Several lines.
    """
    m, size, roof = result["machine"], result["size"], result["roof"]
    widths = (size["n_features"], *size["hidden"], size["n_latents"], *reversed(size["hidden"]), size["n_features"])
    kind = f"{ONES:.0%} ones, uint8" if size["binary"] else "dense, float32"
    lines = [
        f"One training step, {'-'.join(map(str, widths))} tanh, Bernoulli, batch {size['batch_size']}, {kind}",
        f"{m['cpu']}, {m['cores']} cores; NumPy {m['numpy']}, Numba {m['numba']}, Python {m['python']}",
        f"The step: {m['way']}, {m['workers']} worker{'s' * (m['workers'] != 1)}; "
        f"the bare products: NumPy's dot, BLAS threads: {m['blas_threads'] or '?'}",
        f"This machine: {roof['memory']:.0f} GB/s from memory, "
        f"{roof['cache']:.0f} GB/s from the cache of one core (a += 2 b); "
        f"{roof['flops']:.0f} GFLOP/s (matrix product, float32)",
        "",
        f"{'':<28}{'median':>9}{'10%':>9}{'90%':>9}",
    ]
    for label, key in (
        ("step, ms", "step"),
        ("bare matrix products, ms", "floor"),
        ("step / products", "ratio"),
        ("step on NumPy twins, ms", "twins"),
    ):
        lines.append(f"{label:<28}" + "".join(f"{result[key][point]:9.3f}" for point in ("median", "low", "high")))
    lines += [f"The compiled loops make the step {result['speedup']:.2f} times as fast as the twins.", ""]
    lines.append(
        f"{'':<28}{'calls':>6}{'ms':>9}{'share':>8}{'MB':>9}{'GB/s':>9}{'MFLOP':>9}{'GFLOP/s':>9}{'flop/B':>8}"
    )
    for row in result["kernels"]:
        rate = 1e-6 / max(row["ms"], 1e-9)  # from a number a millisecond to 1e9 a second
        cells = (
            f"{row['name']:<28}{row['calls']:6d}{row['ms']:9.3f}{row['share']:8.1%}"
            f"{row['bytes'] / 1e6:9.2f}{row['bytes'] * rate:9.1f}"
        )
        if row["flops"]:
            cells += f"{row['flops'] / 1e6:9.2f}{row['flops'] * rate:9.1f}{row['flops'] / row['bytes']:8.2f}"
        lines.append(cells)
    lines.append(f"{'Python, NumPy':<28}{'':>6}{result['rest']['ms']:9.3f}{result['rest']['share']:8.1%}")
    lines.append("A pass has the calling thread's time, and the bytes and operations of all workers.")
    return "\n".join(lines)
