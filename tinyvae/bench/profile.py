"""Where a step's time goes, loop by loop.

COSTS holds the bytes that a call reads and writes, an array counted once for each, and its floating point operations
(+, -, *, /, the root), as the float32 loops stand there. A loop that is missing there is shown with its arrays' bytes
and no operations.
"""

import contextlib
import sys
import threading
import time

import numpy as np

from tinyvae import likelihoods, mlp

__all__ = ["profile", "replaced", "COSTS"]

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
    """What the compiled loops and the matrix products do in one of the steps; a median.

    Parameters
    ----------
    step : callable
        Takes a step, without arguments.
    n_steps : int
        How many steps to look at.

    Returns
    -------
    list of dict
        [{name, calls, ms, bytes, flops}], the slowest first. `ms` is the main thread's time; bytes and flops are those
        of both halves where a loop is split between two threads; flops is None for a loop that COSTS does not hold.
    """
    calls, main = [], threading.get_ident()

    def timed(name, function):
        def call(*args, **options):
            began = time.perf_counter()
            result = function(*args, **options)
            seconds = time.perf_counter() - began
            calls.append((name, seconds * (threading.get_ident() == main), _cost(name, [*args, *options.values()])))
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


@contextlib.contextmanager
def replaced(timed):
    """A context in which timed(name, function) stands wherever the package refers to a kernel, and for `numpy.dot`.

    Parameters
    ----------
    timed : callable
        (name, function) -> the function that stands in its place.
    """
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("tinyvae.") and not name.startswith(__package__)
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
