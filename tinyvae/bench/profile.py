"""Where a step's time goes, pass by pass and loop by loop.

COSTS holds the bytes that a call reads and writes, an array counted once for each, and its floating point operations
(+, -, *, /, the root), as the float32 loops stand there. A loop that is missing there is shown with its arrays' bytes
and no operations. LOOPS holds the operations an element of the loops that a pass calls; others count as none.
"""

import contextlib
import sys
import time
from itertools import pairwise

import numpy as np

from tinyvae.machine import team

__all__ = ["profile", "replaced", "COSTS"]

INSIDE = (
    "tinyvae.kernels.passes",
    "tinyvae.kernels.first_layer",
    "tinyvae.kernels.units",
    "tinyvae.kernels.team",
)  # what `team.run` holds is its own
LOOPS = {"bias_identity": 1, "bias_tanh": 20, "tanh_backward": 3, "bernoulli_loss_and_slope": 45}


def _operations(typed):
    return LOOPS.get(_name(typed.loop), 0)


def _weights(sizes):
    return sum(n_in * n_out for n_in, n_out in pairwise(sizes))


def _forward(act, sizes, rows, theta, x, hidden, saved, y):
    moved = theta.nbytes + x.nbytes + 2 * hidden.nbytes + y.nbytes + (saved.nbytes if saved is not hidden else 0)
    return moved, 2 * rows * _weights(sizes) + _operations(act) * hidden.size + y.size


def _deltas(slope, sizes, rows, theta, dy, saved, d, dx):
    products = _weights(sizes if dx is not None else sizes[1:])
    moved = products * d.itemsize + dy.nbytes + saved.nbytes + 2 * d.nbytes + (0 if dx is None else dx.nbytes)
    return moved, 2 * rows * products + _operations(slope) * d.size


def _weight_gradients(sizes, rows, x, hidden, dy, d, weights, weighted, grads):
    moved, weighing = x.nbytes + hidden.nbytes + dy.nbytes + d.nbytes + grads.nbytes, 0
    if weights is not None:
        moved, weighing = moved + 2 * weighted.nbytes, weighted.size
    return moved, 2 * rows * (_weights(sizes) + sum(sizes[1:])) + weighing


def _first_forward(act, rows, n_in, n_out, W, x, h, saved, places):
    moved = x.nbytes + ((n_in + 1) * n_out + rows * n_out * (2 if saved is not h else 1)) * h.itemsize
    return moved, (np.count_nonzero(x) + _operations(act) * rows) * n_out


def _first_gradient(rows, n_in, n_out, x, delta, grads, places):
    return x.nbytes + (n_in + 1 + rows) * n_out * grads.itemsize, (np.count_nonzero(x) + rows) * n_out


COSTS = {
    "forward": _forward,
    "losses": lambda loss_and_slope, rows, n_outputs, outputs, n_points, n_features, bits, x, loss: (
        2 * outputs.nbytes + x.nbytes + loss.nbytes,
        _operations(loss_and_slope) * outputs.size,
    ),
    "deltas": _deltas,
    "weight_gradients": _weight_gradients,
    "first_forward": _first_forward,
    "first_gradient": _first_gradient,
    "update": lambda n, theta, *_: (7 * theta.nbytes, 13 * n),
    "gather": lambda x, rows, out: (out.size * x.itemsize + out.nbytes, 0),
}


def profile(step, n_steps=50):
    """What the passes, and the compiled loops that Python calls, do in one of the steps; a median.

    Parameters
    ----------
    step : callable
        Takes a step, without arguments.
    n_steps : int
        How many steps to look at.

    Returns
    -------
    list of dict
        [{name, calls, ms, bytes, flops}], the slowest first. `ms` is the time of the thread that calls; bytes and
        flops are those of the whole team; flops is None for a loop that COSTS does not hold.
    """
    calls = []

    def timed(name, function):
        def call(*args, **options):
            began = time.perf_counter()
            result = function(*args, **options)
            seconds = time.perf_counter() - began
            calls.append((name, seconds, _cost(name, [*args, *options.values()])))
            return result

        return call

    per_step = []
    with replaced(timed):
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


def _name(function):
    """Of a kernel or its twin."""
    return getattr(function, "twin", function).__name__.removesuffix("_numpy")


@contextlib.contextmanager
def replaced(timed):
    """A context in which timed(name, function) stands for each pass, and for each kernel that Python calls.

    Not for the kernels that a pass calls: these are in its time. A pass is called with its twin's arguments, and each
    by itself, though a step runs some of them in one call.

    Parameters
    ----------
    timed : callable
        (name, function) -> the function that stands in its place.
    """
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("tinyvae.") and not name.startswith((__package__, *INSIDE))
    ]
    twins = {name for module in modules for name in vars(module) if name.endswith("_numpy")}
    kernels = {
        id(function): timed(name, function)
        for module in modules
        if module.__name__.startswith("tinyvae.kernels.")
        for name, function in list(vars(module).items())
        if name + "_numpy" in twins
    }
    run = team.run

    def run_timed(dtype, *calls):
        for pass_, *arguments in calls:
            timed(_name(pass_), lambda *arguments: run(dtype, (pass_, *arguments)))(*arguments)

    with contextlib.ExitStack() as undo:

        def put(owner, name, value):
            undo.callback(setattr, owner, name, vars(owner)[name])
            setattr(owner, name, value)

        for module in modules:
            for name, value in list(vars(module).items()):
                if id(value) in kernels:
                    put(module, name, kernels[id(value)])
        put(team, "run", run_timed)
        yield
