"""What a training step costs on this machine: against its bare matrix products, against the NumPy twins, and loop by loop.

Everything here needs tinyvae alone. `tests/bench/` puts the same step beside PyTorch and JAX.
"""

import contextlib
import functools
import json
import os
import platform
import subprocess
import sys
import threading
import time

import numba
import numpy as np

from tinyvae import likelihoods, mlp, validate
from tinyvae.kernels.compile import loop
from tinyvae.machine import blas, workers
from tinyvae.models import VAE
from tinyvae.training import train

N_ROWS = 5000
ONES = 0.13  # the share of ones in binarized MNIST
SETTLE = 0.05  # seconds after which OpenBLAS's threads, which spin on after a product, have gone to sleep


# --- what is timed ----------------------------------------------------------------------------------------


def pixels(n_rows, n_features, binary, seed=1):
    """(n_rows, n_features): uint8 with 13% ones, or uniform float32 in [0, 1]."""
    u = np.random.default_rng(seed).random((n_rows, n_features), dtype=np.float32)
    return (u < ONES).astype(np.uint8) if binary else u


def training_step(vae, x, batch_size, n_samples=1):
    """A function that takes the next training step: minibatch, noise, loss, gradient, Adam. It returns the Record."""
    return functools.partial(next, train(vae, x, batch_size=batch_size, n_samples=n_samples, epochs=10**9))


def bare_products(vae, batch_size, n_samples=1):
    """A function that does a training step's matrix products and nothing else, on as many BLAS threads as NumPy is set to."""
    rng = np.random.default_rng(0)
    products = []

    def product(a, b):
        products.append((a, b, np.empty((a.shape[0], b.shape[1]), vae.dtype)))
        return products[-1][-1]

    def forward(network, h):
        inputs = []
        for layer in range(network.n_layers):
            inputs.append(h)
            h = product(h, network.params[f"W{layer}"].copy())  # rows, n_out
        return inputs

    def backward(network, inputs, needs_dx):
        delta = np.ones((len(inputs[0]), network.sizes[-1]), vae.dtype)
        for layer in reversed(range(network.n_layers)):
            product(inputs[layer].T, delta)  # n_in, n_out
            if layer or needs_dx:
                delta = product(delta, network.params[f"W{layer}"].copy().T)  # rows, n_in

    x, z = (
        rng.random(shape, dtype=vae.dtype)
        for shape in ((batch_size, vae.n_features), (n_samples * batch_size, vae.n_latents))
    )
    encoder, decoder = forward(vae.encoder, x), forward(vae.decoder, z)
    backward(vae.decoder, decoder, needs_dx=True)
    backward(vae.encoder, encoder, needs_dx=False)

    def run():
        with blas.own_threads():  # a training run that waits beside this one keeps BLAS to one
            for a, b, out in products:
                np.dot(a, b, out=out)

    return run


# --- timing -----------------------------------------------------------------------------------------------


def alternate(functions, rounds, seconds):
    """{name: [[seconds of each call] for each round]}: the functions in turn, a block of calls that fills `seconds` each."""
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            time.sleep(SETTLE)
            function()
            times[name].append(block(function, seconds))
    return times


def block(function, seconds):
    """The times of as many calls as fill `seconds`, at least three."""
    times, began = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() < began + seconds:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def spread(values):
    """{"median", "low", "high"}: of all `values`, and their 10% and 90% points."""
    low, median, high = np.percentile(np.asarray(values, "float64"), (10, 50, 90)).tolist()
    return {"median": median, "low": low, "high": high}


def milliseconds(times):
    """The spread of `alternate`'s times of one function."""
    return spread(1e3 * np.concatenate(times))


def ratio(times, reference):
    """The spread, over rounds, of a function's median time over another's in the same round."""
    return spread([np.median(a) / np.median(b) for a, b in zip(times, reference)])


# --- this machine -----------------------------------------------------------------------------------------


def machine():
    """What the numbers depend on, as a dict."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        cpu = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "blas_threads": blas.threads(),
        "workers": workers.count(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


def add_twice_numpy(a, b):
    """a += 2 b, both (n,)."""
    a += 2 * b


@loop(add_twice_numpy)
def add_twice(a, b):
    two = a.dtype.type(2)
    for i in range(a.size):
        a[i] += two * b[i]


def bandwidth(n_bytes, seconds=0.3, threads=2):
    """GB/s of a += 2 b, float32, two arrays of n_bytes in all. The best of many calls: it is a roof.

    In place, so that each byte that moves is counted: to write into a third array, its old contents would be loaded first.
    """
    a, b = np.zeros((2, n_bytes // 8), np.float32)

    def run():
        add_twice(a, b)

    if threads == 2:

        def run():
            workers.split(lambda part: add_twice(a[part], b[part]), len(a), 4 * len(a))

    run()
    return float(3e-9 * a.nbytes / min(block(run, seconds)))


def peak(n=512, seconds=0.3):
    """GFLOP/s of an n x n float32 matrix product on as many BLAS threads as NumPy is set to. The best of many calls: it is a roof."""
    a, b, out = np.ones((3, n, n), np.float32)
    np.dot(a, b, out=out)
    return float(2e-9 * n**3 / min(block(lambda: np.dot(a, b, out=out), seconds)))


# --- loop by loop -----------------------------------------------------------------------------------------
# Bytes that a call reads and writes, an array counted once for each, and its floating point operations (+, -, *, /, the
# root), as the float32 loops stand there. A loop that is missing here is shown with its arrays' bytes and no operations.

COSTS = {
    "np.dot": lambda a, b, out: (a.nbytes + b.nbytes + out.nbytes, 2 * a.shape[-1] * out.size),
    "bias_identity": lambda a, b: (2 * a.nbytes, a.size),
    "bias_tanh": lambda a, b: (2 * a.nbytes, 20 * a.size),
    "tanh_backward": lambda dy, y: (3 * dy.nbytes, 3 * dy.size),
    "column_sums": lambda delta, out: (delta.nbytes, delta.size),
    "bernoulli_loss_and_slope": lambda logits, x, loss: (2 * logits.nbytes + x.nbytes, 45 * logits.size),
    "adam": lambda theta, *_: (7 * theta.nbytes, 12 * theta.size),
    "find_ones": lambda x, places, starts: (x.nbytes + 4 * int(starts[-1]), 0),
    "transpose_ones": lambda places, starts, *_: (8 * int(starts[-1]), 0),
    "sum_selected_rows": lambda places, starts, W, out: (
        W.nbytes + out.nbytes,
        int(starts[-1] - starts[0]) * W.shape[1],
    ),
    "gather": lambda x, rows, out: (out.size * x.itemsize + out.nbytes, 0),
}


def profile(step, n_steps=50):
    """[{name, calls, ms, bytes, flops}]: what the compiled loops and the matrix products do in one of the steps; a median.

    `ms` is the main thread's time; bytes and flops are those of both halves where a loop is split between two threads.
    """
    calls, main = [], threading.get_ident()

    def timed(name, function):
        def call(*args, **options):
            if not isinstance(args[0], np.ndarray):  # a product that is a loop of ours: that is what is timed
                return function(*args, **options)
            began = time.perf_counter()
            result = function(*args, **options)
            seconds = time.perf_counter() - began
            calls.append((name, seconds * (threading.get_ident() == main), _cost(name, [*args, *options.values()])))
            return result

        return call

    per_step = []
    with _replaced(timed):
        for _ in range(n_steps):
            calls.clear()
            step()
            totals = {}
            for name, seconds, (moved, flops) in calls:
                totals[name] = totals.get(name, np.zeros(4)) + (1, 1e3 * seconds, moved, flops)
            per_step.append(totals)
    rows = []
    for name in per_step[-1]:
        n, ms, moved, flops = np.median([totals[name] for totals in per_step if name in totals], axis=0).tolist()
        rows.append(
            {"name": name, "calls": round(n), "ms": ms, "bytes": moved, "flops": flops if name in COSTS else None}
        )
    return sorted(rows, key=lambda row: -row["ms"])


def _cost(name, args):
    return COSTS[name](*args) if name in COSTS else (sum(a.nbytes for a in args if isinstance(a, np.ndarray)), 0)


@contextlib.contextmanager
def _replaced(timed):
    """Wherever the package refers to a kernel, and `numpy.dot`, stands timed(name, function) for a while."""
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("tinyvae.") and module is not sys.modules[__name__]
    ]
    twins = {name for module in modules for name in vars(module) if name.endswith("_numpy")}
    kernels = {
        id(function): timed(name, function)
        for module in modules
        for name, function in list(vars(module).items())
        if name + "_numpy" in twins
    }
    with contextlib.ExitStack() as undo:

        def put(owner, name, value):
            undo.callback(setattr, owner, name, vars(owner)[name])
            setattr(owner, name, value)

        for owner in (*modules, *likelihoods.LIKELIHOODS.values()):
            for name, value in list(vars(owner).items()):
                if id(getattr(value, "__func__", value)) in kernels:
                    function = kernels[id(getattr(value, "__func__", value))]
                    put(owner, name, staticmethod(function) if isinstance(owner, type) else function)
        put(
            mlp,
            "ACTIVATIONS",
            {
                name: activation._replace(
                    **{field: kernels.get(id(value), value) for field, value in activation._asdict().items()}
                )
                for name, activation in mlp.ACTIVATIONS.items()
            },
        )
        put(np, "dot", timed("np.dot", np.dot))
        yield


# --- what a user calls ------------------------------------------------------------------------------------


def run(n_features=784, hidden=(500,), n_latents=20, batch_size=100, binary=True, rounds=10, seconds=0.2):
    """Measure one training step of a tanh VAE in float32. Returns a dict of plain numbers; `table` makes text of it.

    hidden: the encoder's, which the decoder mirrors; binary: 13% ones in uint8, or uniform in [0, 1] in float32; rounds, seconds:
    the step and its bare matrix products take turns, `rounds` blocks of `seconds` each. About 4 rounds x seconds + 8 s in all.

        step, floor, twins: milliseconds of the step, its matrix products, the step on NumPy twins alone (in a process of its own)
        ratio: step / floor, from neighbouring blocks;  speedup: twins / step
        kernels: for each loop the calls, ms, bytes and flops of a step, and its share;  rest: what they leave of the step
        roof: GB/s from memory and from the cache, GFLOP/s of a large product

    Raises ValueError or TypeError for sizes that do not fit.
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
    arguments = [sys.executable, "-c", "from tinyvae import bench; bench._print_step()", json.dumps([size, seconds])]
    env = {**os.environ, "TINYVAE_NUMPY": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return json.loads(subprocess.run(arguments, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _print_step():
    size, seconds = json.loads(sys.argv[1])
    vae = VAE(size["n_features"], size["n_latents"], tuple(size["hidden"]), seed=0)
    step = training_step(vae, pixels(N_ROWS, size["n_features"], size["binary"]), size["batch_size"])
    print(json.dumps(milliseconds(alternate({"step": step}, 1, seconds)["step"])))


def table(result):
    """The text that `tinyvae bench` prints for what `run` returned."""
    m, size, roof = result["machine"], result["size"], result["roof"]
    widths = (size["n_features"], *size["hidden"], size["n_latents"], *reversed(size["hidden"]), size["n_features"])
    kind = f"{ONES:.0%} ones, uint8" if size["binary"] else "dense, float32"
    lines = [
        f"One training step, {'-'.join(map(str, widths))} tanh, Bernoulli, batch {size['batch_size']}, {kind}",
        f"{m['cpu']}, {m['cores']} cores; {m['workers']} workers, {m['blas_threads'] or '?'} BLAS threads; "
        f"NumPy {m['numpy']}, Numba {m['numba']}, Python {m['python']}",
        f"This machine: {roof['memory']:.0f} GB/s from memory, {roof['cache']:.0f} GB/s from the cache of one core (a += 2 b); "
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
        cells = f"{row['name']:<28}{row['calls']:6d}{row['ms']:9.3f}{row['share']:8.1%}{row['bytes'] / 1e6:9.2f}{row['bytes'] * rate:9.1f}"
        if row["flops"]:
            cells += f"{row['flops'] / 1e6:9.2f}{row['flops'] * rate:9.1f}{row['flops'] / row['bytes']:8.2f}"
        lines.append(cells)
    lines.append(f"{'Python, NumPy, waiting':<28}{'':>6}{result['rest']['ms']:9.3f}{result['rest']['share']:8.1%}")
    lines.append("A loop on two threads has the main thread's time, and the bytes and operations of both.")
    return "\n".join(lines)
