"""tinyvae beside PyTorch and JAX on this machine: one command, a JSON file, a table and a plot.

    python tests/bench/run.py                        everything, on a quiet machine
    python tests/bench/run.py --quick                the same in a tenth of the time, for a first look
    python tests/bench/run.py --only step variance   some rows
    python tests/bench/run.py --without torch jax    tinyvae alone

`pip install tinyvae[bench]` brings the peers; what is not installed is left out, and the table says so. \
Each contender of
a row has a fresh process. They take turns, round after round (A B C A B C ...), one at a time, so that a
machine that changes its speed changes it for all; what they compile is compiled before. A ratio is that of
two medians of the same round; what is given is its median over the rounds, with the 10% and 90% points.

A finished row is written at once. Started again with the same --out, the script goes on with the missing rows;
--fresh measures them all again.
"""

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from tinyvae import bench  # noqa: E402
from tinyvae.machine import workers  # noqa: E402

BUSY = 0.1  # the share of the machine that others may use
PATIENCE = 600  # seconds after which a worker that says nothing is ended
PEERS = {"torch": "peers_torch", "jax": "peers_jax"}
ANY = tuple(PEERS.values())
PACKAGES = {module: package for package, module in PEERS.items()} | {"bits_torch": "torch"}


class Contender(NamedTuple):
    """Who calls the row's function: a module, its further arguments, choices to pick the fastest from, its environment.

    per: what the time of a call is divided by.
    """

    module: str
    arguments: dict = {}
    choices: list = [{}]
    environment: dict = {}
    per: float = 1


class Row(NamedTuple):
    """A comparison.

    function, arguments: what each contender's module is asked for; goals: {peers: how many times tinyvae is to be as
    fast as the fastest of them}; floor_goal: the largest step / floor; minutes: what it takes, about.
    """

    title: str
    function: str
    arguments: dict
    contenders: dict
    goals: dict
    floor_goal: float = None
    unit: str = "ms"
    rounds: int = 8
    seconds: float = 0.25
    minutes: float = 0.7


# --- the rows ---------------------------------------------------------------------------------------------


class Size(NamedTuple):
    """A network and its batch, and its goals: {kind of data: (largest step / floor, the peers' least time / ours)}."""

    widths: tuple
    batch: int
    goals: dict
    haswell: float  # the largest step / floor on kernels that pack small blocks


SIZES = {
    "784-500-20": Size((784, 500, 20, 500, 784), 100, {"dense": (1.15, 1.2), "binary": (0.95, 1.4)}, 1.3),
    "784-200-200-50": Size((784, 200, 200, 50, 200, 200, 784), 20, {"dense": (1.2, 1.4), "binary": (1.1, 1.5)}, 1.6),
    "64-128-2": Size((64, 128, 2, 128, 64), 100, {"dense": (1.9, 2.0), "binary": (None, 2.0)}, None),
}
STEPPERS = {
    "tinyvae": Contender("ours"),
    "PyTorch eager": Contender("peers_torch"),
    "torch.compile": Contender("peers_torch", {"compiled": True}),
    "JAX jit": Contender("peers_jax"),
}


BIT_ESTIMATORS = (
    "score_function", "input_dependent", "leave_one_out", "rebar", "relax", "arm", "disarm", "gumbel_softmax",
)  # fmt: skip


def comparisons(quick):
    """{name: Row}."""
    rows = {}
    twins = Contender("ours", {"floor": False}, environment={"TINYVAE_NUMPY": "1"})
    for kind in ("dense", "binary"):
        for name, size in SIZES.items():
            title, arguments = step_of(size, kind)
            floor, peers = size.goals[kind]
            rows[f"step-{name}-{kind}"] = Row(
                title, "train_step", arguments, {**STEPPERS, "NumPy twins": twins}, {ANY: peers}, floor
            )
    for name, size in SIZES.items():
        title, arguments = step_of(size, "dense")
        by_number = {
            f"{n} worker{'s' * (n > 1)}": Contender("ours", {"floor": False}, environment={"TINYVAE_WORKERS": str(n)})
            for n in range(1, most_workers() + 1)
        }
        rows[f"workers-{name}"] = Row(
            f"{title}, by the number of workers",
            "train_step",
            arguments,
            {"tinyvae": STEPPERS["tinyvae"], **by_number},
            {},
        )
        packing = STEPPERS["tinyvae"]._replace(environment={"OPENBLAS_CORETYPE": "Haswell"})
        rows[f"haswell-{name}"] = Row(
            f"{title}, with OPENBLAS_CORETYPE=Haswell",
            "train_step",
            arguments,
            {**STEPPERS, "tinyvae": packing},
            {} if name == "784-500-20" else {ANY: 1.0},
            size.haswell,
        )

    ours, theirs = (100, 10) if quick else (1000, 250)
    goals = {"score_function": (4.0, 2.0), "leave_one_out": (2.8, 1.7), "reparameterization": (2.8, 1.7)}
    for estimator, (torch, jax) in goals.items():
        vmap = [{"chunk": n} for n in ((5, 10) if quick else (5, 10, 25))]
        rows[f"variance-{estimator}"] = Row(
            f"a gradient, of {ours} for their variance, 784-500-20, batch 100, {estimator.replace('_', ' ')}",
            "gradient_moments",
            {"estimator": estimator},
            {
                "tinyvae": Contender("ours", {"n_draws": ours}, per=ours),
                "PyTorch loop": Contender("peers_torch", {"n_draws": theirs}, per=theirs),
                "JAX scan": Contender("peers_jax", {"n_draws": theirs}, per=theirs),
                "JAX vmap": Contender("peers_jax", {"n_draws": theirs}, vmap, per=theirs),
            },
            {("peers_torch",): torch, ("peers_jax",): jax},
            rounds=5,
            seconds=0.5,
        )

    for estimator in BIT_ESTIMATORS:
        rows[f"bits-{estimator}"] = Row(
            f"a gradient, 784-200-200-200 bits-200-200-784, batch 100, {estimator.replace('_', ' ')}",
            "bits_gradient",
            {"sizes": (784, 200, 200, 200, 200, 200, 784), "batch_size": 100, "estimator": estimator},
            {
                "tinyvae": Contender("ours"),
                "PyTorch eager": Contender("bits_torch"),
                "torch.compile": Contender("bits_torch", {"compiled": True}),
            },
            {("bits_torch",): 2.0},
        )

    points, samples = (2, 500) if quick else (20, 5000)
    chunks = [{"chunk": n} for n in ((250, 500) if quick else (250, 500, 1000, 2500, 5000))]
    rows["likelihood"] = Row(
        f"log-likelihood of a point, {samples} importance samples, 784-200-200-50, binary",
        "log_likelihood",
        {"n_points": points, "n_samples": samples},
        {
            "tinyvae": Contender("ours", per=points),
            "PyTorch, best chunk": Contender("peers_torch", {}, chunks, per=points),
            "torch.compile, best chunk": Contender("peers_torch", {"compiled": True}, chunks[1:3], per=points),
            "JAX, best chunk": Contender("peers_jax", {}, chunks[:4], per=points),
        },
        {ANY: 1.5},
        rounds=6,
        seconds=0.5,
        minutes=1.6,
    )
    return rows


def step_of(size, kind):
    """A step's title and arguments."""
    title = f"training step {'-'.join(map(str, size.widths))}, batch {size.batch}, {kind}"
    return title, {"sizes": size.widths, "batch_size": size.batch, "binary": kind == "binary"}


def most_workers():
    """As many as this package would ever use here, two at least."""
    return max(2, min(workers.MOST, workers.cores()))


def compare(row, options):
    """Measure a Row."""
    contenders = {name: c for name, c in row.contenders.items() if not missing(c.module, options)}
    absent = {name: missing(c.module, options) for name, c in row.contenders.items() if name not in contenders}
    processes, failed = {}, {}
    try:
        for name, contender in contenders.items():  # they prepare and compile side by side
            processes[name] = Worker(row.function, row.arguments, contender)
        for name in list(processes):
            try:
                processes[name].prepared()
            except RuntimeError as error:
                failed[name] = str(error)
                processes.pop(name).close()
        times = {}
        for _ in range(options.rounds or row.rounds):
            for name, worker in processes.items():
                for part, seconds in worker.block(options.seconds or row.seconds).items():
                    label = "bare products" if part == "floor" else name
                    times.setdefault(label, []).append(1e3 * np.array(seconds) / contenders[name].per)
    finally:
        for worker in processes.values():
            worker.close()
    result = {
        "title": row.title,
        "unit": row.unit,
        "absent": absent | failed,
        "values": {name: bench.spread(np.concatenate(rounds)) for name, rounds in times.items()},
        "ratios": {name: bench.ratio(rounds, times["tinyvae"]) for name, rounds in times.items() if name != "tinyvae"},
        "notes": {name: worker.notes for name, worker in processes.items()},
        "goals": [],
    }
    if row.floor_goal:
        result["goals"].append(
            goal(
                "step / bare products, same process",
                bench.ratio(times["tinyvae"], times["bare products"]),
                most=row.floor_goal,
            )
        )
    for modules, least in row.goals.items():
        peers = [name for name in processes if contenders[name].module in modules]
        if peers:
            fastest = min(peers, key=lambda name: result["values"][name]["median"])
            result["goals"].append(goal(f"{fastest} / tinyvae", result["ratios"][fastest], least=least))
    return result


def goal(what, measured, least=None, most=None):
    met = measured["median"] >= least if least is not None else measured["median"] <= most
    return {
        "what": what,
        "measured": measured,
        "target": f"at least {least:g}" if least is not None else f"at most {most:g}",
        "met": bool(met),
    }


def missing(module, options):
    """Why a contender of this module cannot take part, or ""."""
    package = PACKAGES.get(module)
    if package in options.without:
        return "left out"
    return "not installed" if package and importlib.util.find_spec(package) is None else ""


# --- processes --------------------------------------------------------------------------------------------


def environment(**changes):
    """This one's without tinyvae's switches, with the package of this checkout first; bytecode is cached."""
    switches = "TINYVAE_", "PYTHONDONTWRITEBYTECODE"
    env = {name: value for name, value in os.environ.items() if not name.startswith(switches)}
    path = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
    return {**env, "PYTHONPATH": path, **changes}


class Worker:
    """A process of `worker.py`. Call `prepared` before `block`."""

    def __init__(self, function, arguments, contender):
        command = [
            sys.executable,
            str(HERE / "worker.py"),
            contender.module,
            function,
            json.dumps({**arguments, **contender.arguments}),
            json.dumps(contender.choices),
        ]
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command,
            env=environment(**contender.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.choices, self.notes = contender.choices, {}

    def prepared(self):
        """Wait until everything is compiled."""
        self.notes = self._answer()

    def block(self, seconds):
        """{name: [seconds of each call]}."""
        if len(self.choices) > 1:
            self._say(seconds)
            self.notes |= self._answer()
            self.choices = []
        self._say(seconds)
        return self._answer()

    def _say(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def _answer(self):
        watch = threading.Timer(PATIENCE, self.process.kill)
        watch.start()
        line = self.process.stdout.readline()
        watch.cancel()
        if line:
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        raise RuntimeError(
            (self.errors.read().strip().splitlines() or [f"ended with status {self.process.returncode}"])[-1]
        )

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def script(text, *arguments, **changes):
    """The numbers that a program prints, run in a fresh process."""
    command = [sys.executable, "-c", text, *map(str, arguments)]
    done = subprocess.run(
        command, env=environment(**changes), check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return [float(word) for word in done.stdout.split()]


# --- what a person waits for, and memory ------------------------------------------------------------------

IMPORT = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


def imports(options):
    times = {"import tinyvae": [], "import numpy, numba": []}
    script(IMPORT.format("tinyvae"))  # caches the bytecode
    for _ in range(2 if options.quick else 15):
        for name, seconds in times.items():
            seconds.append(1e3 * script(IMPORT.format(name.removeprefix("import ")))[0])
    pairs = [a / b for a, b in zip(*times.values())]
    return {
        "title": "importing, in a fresh process",
        "unit": "ms",
        "values": {name: bench.spread(seconds) for name, seconds in times.items()},
        "goals": [goal("import tinyvae / import numpy, numba", bench.spread(pairs), most=1.2)],
    }


FIRST_STEP = """
import sys, time
import matplotlib.pyplot as plt
import tinyvae as tv
x = tv.datasets.load("digits").train
next(tv.train(tv.VAE(x.shape[1], 2, (128,)), x))
print(time.time() - float(sys.argv[1]))
"""


def second_run(options):
    script(FIRST_STEP, 0)  # fills the cache
    seconds = [script(FIRST_STEP, time.time())[0] for _ in range(2 if options.quick else 8)]
    return {
        "title": "first training step after the start of the process, as in a lesson (matplotlib, the digits), "
        "compiled before",
        "unit": "s",
        "values": {"first step": bench.spread(seconds)},
        "goals": [goal("seconds", bench.spread(seconds), most=1.5)],
    }


def first_run(options):
    """`tinyvae compare`, short, with an empty cache of compiled code and again with a full one."""
    seconds, announced = {"cold": [], "warm": []}, 0
    for _ in range(1 if options.quick else 2):
        with tempfile.TemporaryDirectory() as folder:
            for state in seconds:
                command = [
                    sys.executable,
                    "-m",
                    "tinyvae",
                    "compare",
                    "--epochs",
                    "1",
                    "--points",
                    "2",
                    "--n-draws",
                    "2",
                    "--out",
                    folder,
                ]
                began = time.perf_counter()
                done = subprocess.run(
                    command, env=environment(NUMBA_CACHE_DIR=folder), check=True, capture_output=True, text=True
                )
                seconds[state].append(time.perf_counter() - began)
                announced = "compil" in done.stderr if state == "cold" else announced
    compiling = bench.spread(np.subtract(seconds["cold"], seconds["warm"]))
    cold = bench.spread(seconds["cold"])
    return {
        "title": "`tinyvae compare --epochs 1`, with an empty cache of compiled code and with a full one",
        "unit": "s",
        "values": {name: bench.spread(values) for name, values in seconds.items()} | {"compiling": compiling},
        "goals": [
            goal("seconds, nothing compiled yet", cold, most=60),
            goal("a line says that it compiles (1: yes)", bench.spread([announced]), least=1),
        ],
    }


MEMORY = """
import resource, sys
import numpy as np
import tinyvae as tv
import tqdm
unit = 1 if sys.platform == "darwin" else 1024
now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
if sys.platform == "linux":  # what is resident now, less than the peak of the imports: the stricter reference
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[1]) * resource.getpagesize()
n = int(sys.argv[1])
x, rng = np.empty((n, 784), np.uint8), np.random.default_rng(0)
for rows in np.array_split(x, n // 500):
    rows[:] = rng.random(rows.shape) < 0.13
tv.fit(tv.VAE(784, 20, (500,)), x, epochs=1)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - now - x.nbytes) / 1e6)
"""


def memory(options):
    n = 5_000 if options.quick else 50_000
    megabytes = [script(MEMORY, n)[0] for _ in range(1 if options.quick else 3)]
    return {
        "title": f"peak memory of training 784-500-20 on {n} x 784 uint8, above the imports and the array",
        "unit": "MB",
        "values": {"above": bench.spread(megabytes)},
        "goals": [goal("MB", bench.spread(megabytes), most=120)],
    }


# --- how the cost grows, and what a busy machine does -----------------------------------------------------


def scaling(options):
    """Against batch, samples and width: times, and the largest distance from the best straight line, relative."""
    settings = {"batch": (50, 100, 200, 400, 800), "samples": (1, 2, 4, 8, 16), "width": (125, 250, 500, 1000, 2000)}
    if options.quick:
        settings = {name: values[:3] for name, values in settings.items()}
    arguments = dict(zip(("batches", "samples", "widths"), settings.values()))
    worker = Worker("scaling", arguments, Contender("ours"))
    try:
        worker.prepared()
        rounds = [worker.block(0.03 if options.quick else 0.15) for _ in range(options.rounds or 5)]
    finally:
        worker.close()
    result = {
        "title": "step 784-500-20, batch 100, 1 sample, binary, one of them varied",
        "unit": "ms",
        "values": {},
        "lines": {},
        "goals": [],
    }
    for quantity, values in settings.items():
        for n in values:
            result["values"][f"{quantity} {n}"] = bench.spread(
                1e3 * np.concatenate([r[f"{quantity} {n}"] for r in rounds])
            )
        medians = np.array([result["values"][f"{quantity} {n}"]["median"] for n in values])
        line = np.stack([np.ones(len(values)), values], axis=1)  # n, 2
        coefficients, *_ = np.linalg.lstsq(
            line / medians[:, None], np.ones(len(values)), rcond=None
        )  # least squares of relative errors
        off = float(np.abs(line @ coefficients / medians - 1).max())
        result["lines"][quantity] = {
            "start": coefficients[0],
            "slope": coefficients[1],
            "largest_relative_distance": off,
        }
        result["goals"].append(
            goal(f"{quantity}, largest distance from a straight line", bench.spread([off]), most=0.2)
        )
    plot(settings, result, options.out / "scaling.png")
    return result


def plot(settings, result, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    labels = {"batch": "data points in the batch", "samples": "samples a data point", "width": "hidden units"}
    fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for ax, (quantity, values) in zip(axes, settings.items()):
        points = [result["values"][f"{quantity} {n}"] for n in values]
        line = result["lines"][quantity]
        middle = np.array([p["median"] for p in points])
        reach = np.abs([[p["low"], p["high"]] for p in points] - middle[:, None]).T  # 2, n
        ax.errorbar(values, middle, reach, fmt="o", color="#0072B2", capsize=3, label="median, 10% to 90%")
        ends = np.array([0, max(values)])
        ax.plot(
            ends,
            line["start"] + line["slope"] * ends,
            "--",
            color="#D55E00",
            label=f"{line['start']:.2f} + {line['slope']:.3g} n",
        )
        ax.set(xlabel=labels[quantity], ylim=(0, None), xlim=(0, None))
        ax.legend(frameon=False, loc="upper left")
    axes[0].set_ylabel("ms a training step")
    fig.savefig(path, dpi=130)
    plt.close(fig)


BUSY_LOOP = "while True: pass"
STATES = "alone", "beside a busy process", "two trainings at a time"


def neighbours(size, options):
    """The step alone, beside a process that keeps a core busy, and two trainings at a time."""
    title, arguments = step_of(size, "dense")
    one_worker = Contender("ours", environment={"TINYVAE_WORKERS": "1"})
    contenders = {
        name: contender._replace(
            arguments=contender.arguments | ({"floor": False} if contender.module == "ours" else {})
        )
        for name, contender in {**STEPPERS, "tinyvae, 1 worker": one_worker}.items()
        if not missing(contender.module, options)
    }
    pairs, times, seconds = {}, {}, options.seconds or 0.3
    try:
        for name, contender in contenders.items():
            pairs[name] = [Worker("train_step", arguments, contender) for _ in range(2)]
        for pair in pairs.values():
            for worker in pair:
                worker.prepared()
        for _ in range(options.rounds or 8):
            for name, (one, other) in pairs.items():
                alone, busy, two = (times.setdefault((name, state), []) for state in STATES)
                alone.append(one.block(seconds)[""])
                neighbour = subprocess.Popen([sys.executable, "-c", BUSY_LOOP])
                try:
                    busy.append(one.block(seconds)[""])
                finally:
                    neighbour.kill()
                    neighbour.wait()
                second = threading.Thread(target=other.block, args=(1.5 * seconds,))
                second.start()
                two.append(one.block(seconds)[""])
                second.join()
    finally:
        for pair in pairs.values():
            for worker in pair:
                worker.close()
    against = {state: bench.ratio(times["tinyvae", state], times["tinyvae", STATES[0]]) for state in STATES[1:]}
    return {
        "title": f"{title}, and its neighbours",
        "unit": "ms",
        "values": {f"{name}: {state}": bench.milliseconds(rounds) for (name, state), rounds in times.items()},
        "absent": {name: why for name, contender in STEPPERS.items() if (why := missing(contender.module, options))},
        "goals": [goal(f"{state} / alone", against[state], most=most) for state, most in zip(STATES[1:], (2.0, 2.1))],
    }


# --- one after the other ----------------------------------------------------------------------------------


def plan(options):
    """{row's name: (minutes, function of the options)}."""
    rows = {
        name: (row.minutes, lambda options, row=row: compare(row, options))
        for name, row in comparisons(options.quick).items()
    }
    rows |= {
        f"busy-{name}": (0.8, lambda options, size=size: neighbours(size, options)) for name, size in SIZES.items()
    }
    rows |= {
        "import": (0.6, imports),
        "second-run": (0.3, second_run),
        "first-run": (0.8, first_run),
        "memory": (0.2, memory),
        "scaling": (0.6, scaling),
    }
    return {name: row for name, row in rows.items() if not options.only or name.startswith(tuple(options.only))}


def jiffies():
    """(busy, all) processor time of the whole machine so far, in seconds; None where /proc does not tell."""
    try:
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    idle = fields[3] + fields[4]
    return np.array([sum(fields) - idle, sum(fields)]) / os.sysconf("SC_CLK_TCK")


def own():
    """Processor time of this process and its ended children, seconds."""
    return sum(
        u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def others_share(before, own_before):
    """The share of the machine that others used since; None if unknown."""
    now = jiffies()
    if now is None:
        return None
    busy, total = now - before
    return max(0.0, (busy - (own() - own_before)) / max(total, 1e-9))


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("bench-results"),
        help="folder for bench.json, bench.md and scaling.png (default: %(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="few and short rounds")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="ROW",
        help="rows whose names start so: step, workers, haswell, variance, bits, likelihood, busy, import, second-run, "
        "first-run, memory, scaling",
    )
    parser.add_argument("--without", nargs="+", default=[], choices=tuple(PEERS), help="peers to leave out")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine too")
    parser.add_argument("--fresh", action="store_true", help="measure again what --out holds already")
    options = parser.parse_args(argv)
    options.rounds, options.seconds = (2, 0.05) if options.quick else (None, None)
    return options


def main(argv=None):
    options = parse(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "bench.json"
    record = json.loads(path.read_text()) if path.exists() and not options.fresh else {"rows": {}}
    if record.setdefault("quick", options.quick) != options.quick:
        sys.exit(
            f"{path} is of a run {'with' if record['quick'] else 'without'} --quick: choose another --out, or --fresh"
        )
    if jiffies() is not None:
        start = jiffies()
        time.sleep(1)
        share = others_share(start, own())
        if share > BUSY and not options.anyway:
            sys.exit(f"others use {share:.0%} of this machine: wait, or measure --anyway")
    rows = {name: row for name, row in plan(options).items() if name not in record["rows"]}
    minutes = sum(row[0] for row in rows.values()) * (0.3 if options.quick else 1)
    print(
        f"{len(rows)} rows, about {minutes:.0f} minutes; interrupted, the same command goes on where it stopped.",
        flush=True,
    )
    record["machine"] = bench.machine()
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC", "OMP_WAIT_POLICY", "XLA_FLAGS")
    record["environment"] = {name: os.environ.get(name) for name in names}
    failed = []
    for name, (_, measure) in rows.items():
        print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
        load, start, own_start, began = os.getloadavg(), jiffies(), own(), time.time()
        try:
            result = measure(options)
        except (
            RuntimeError,
            subprocess.CalledProcessError,
        ) as error:  # a row without a result is measured again next time
            failed.append(name)
            print(f"         FAILED: {error}\n{getattr(error, 'stderr', None) or ''}", flush=True)
            continue
        result |= {
            "load_average": {"before": load, "after": os.getloadavg()},
            "others": others_share(start, own_start),
            "when": time.strftime("%Y-%m-%d %H:%M", time.localtime(began)),
            "seconds": time.time() - began,
        }
        record["rows"][name] = result
        write(path, json.dumps(record, indent=1))
        write(options.out / "bench.md", table(record))
        for g in result["goals"]:
            print(
                f"         {g['what']}: {g['measured']['median']:.2f}, "
                f"target {g['target']}{'' if g['met'] else '  MISSED'}"
            )
    print(table(record) if record["rows"] else "")
    return f"failed: {', '.join(failed)}" if failed else 0


def write(path, text):
    """All or nothing: an interrupted run must not lose the rows before."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


# --- the table --------------------------------------------------------------------------------------------


def table(record):
    """Markdown: the targets, every contender, and what the numbers depend on."""
    m = record["machine"]
    lines = [
        f"{m['cpu']}, {m['cores']} cores; {m['system']}. NumPy {m['numpy']}, Numba {m['numba']}, Python {m['python']}.",
        f"tinyvae's step: {m['way']}, {m['workers']} workers.",
        *("" if not v else f"{k}={v}." for k, v in record["environment"].items() if v),
        "",
        "| work | measured (10% to 90%) | target | met |",
        "| --- | --- | --- | --- |",
    ]
    for row in record["rows"].values():
        for g in row["goals"]:
            lines.append(
                f"| {row['title']}: {g['what']} | {span(g['measured'])} | {g['target']} "
                f"| {'yes' if g['met'] else '**no**'} |"
            )
    lines += ["", "| work | contender | median (10% to 90%) | times tinyvae | |", "| --- | --- | --- | --- | --- |"]
    for row in record["rows"].values():
        title = row["title"]
        for name, value in row["values"].items():
            against = row.get("ratios", {}).get(name)
            lines.append(
                f"| {title} | {name} | {span(value)} {row['unit']} | {span(against) if against else ''} "
                f"| {note(row, name)} |"
            )
            title = ""
        for name, reason in row.get("absent", {}).items():
            lines.append(f"| | {name} | {reason} | | |")
    versions = {
        name: text
        for row in record["rows"].values()
        for name, notes in row.get("notes", {}).items()
        if (text := ", ".join(f"{k} {v}" for k, v in notes["versions"].items()))
    }
    lines += ["", *(f"- {name}: {text}" for name, text in versions.items())]
    loads = [row["load_average"][point][0] for row in record["rows"].values() for point in ("before", "after")]
    lines.append(
        f"- load average (1 minute) before and after the rows, this benchmark's own included: "
        f"{min(loads):.1f} to {max(loads):.1f}"
    )
    busy = {
        name: row["others"]
        for name, row in record["rows"].items()
        if row["others"] is not None and row["others"] > BUSY
    }
    if busy:
        lines.append(
            "- **The machine was busy**, others used a share of it: "
            + ", ".join(f"{name} {share:.0%}" for name, share in busy.items())
        )
    return "\n".join(lines) + "\n"


def span(value):
    return f"{value['median']:.3g} ({value['low']:.3g} to {value['high']:.3g})"


def note(row, name):
    notes = row.get("notes", {}).get(name, {})
    return ", ".join(f"{k} {v}" for k, v in notes.get("choice", {}).items())


if __name__ == "__main__":
    sys.exit(main())
