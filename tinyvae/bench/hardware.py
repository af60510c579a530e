"""This machine: what it is, and the roofs that it sets, bytes and operations a second."""

import contextlib
import os
import platform
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from tinyvae.bench.timing import block
from tinyvae.kernels.compile import USE_NUMPY, loop
from tinyvae.machine import blas, team, workers

__all__ = ["machine", "way", "bandwidth", "peak", "add_twice_numpy", "add_twice"]


def machine():
    """What the numbers depend on.

    Returns
    -------
    dict
        "cpu", "system", "python", "numpy", "numba", "way": str, see `way`; "cores", "workers": int; "blas_threads":
        int, or None where that cannot be told; "load_average": list of float over 1, 5 and 15 minutes, or None.
    """
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
        "way": way(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


def way():
    """Which way a network's passes run here, see `machine.team` and `machine.blas`.

    Returns
    -------
    str
        Compiled, on blocks cut for the kernels of this machine's BLAS, or NumPy's `dot`, and why.
    """
    if team.usable():
        return f"passes on {'blocks for' if blas.core() in blas.UNPACKED else 'large blocks for'} {blas.core()} kernels"
    if USE_NUMPY:
        return "NumPy's dot: TINYVAE_NUMPY or NUMBA_DISABLE_JIT is set"
    return f"NumPy's dot: {'no BLAS pointer' if team.X86 else 'not an x86 processor'}"


def add_twice_numpy(a, b):
    """a += 2 b.

    Parameters
    ----------
    a : array (n,)
        Changed in place.
    b : array (n,)
        What is added twice.
    """
    a += 2 * b


@loop(add_twice_numpy)
def add_twice(a, b):
    """`add_twice_numpy`, compiled."""
    two = a.dtype.type(2)
    for i in range(a.size):
        a[i] += two * b[i]


def bandwidth(n_bytes, seconds=0.3, threads=None):
    """The bandwidth of a += 2 b, float32. The best of many calls: it is a roof.

    In place, so that each byte that moves is counted: to write into a third array, its old contents would be loaded
    first.

    Parameters
    ----------
    n_bytes : int
        Of the two arrays together.
    seconds : float
        How long to call it.
    threads : int
        Each has a part of its own; None for `workers.count`. More than one are for arrays of many megabytes.

    Returns
    -------
    float
        GB/s.
    """
    a, b = np.zeros((2, n_bytes // 8), np.float32)
    threads = threads or workers.count()
    parts = list(zip(np.array_split(a, threads), np.array_split(b, threads)))
    with ThreadPoolExecutor(threads) as pool:

        def run():
            if threads == 1:
                add_twice(a, b)
            else:
                list(pool.map(lambda part: add_twice(*part), parts))

        run()
        return float(3e-9 * a.nbytes / min(block(run, seconds)))


def peak(n=512, seconds=0.3):
    """The speed of a float32 matrix product on as many BLAS threads as NumPy is set to. The best of many calls: a roof.

    Parameters
    ----------
    n : int
        Rows and columns of each matrix.
    seconds : float
        How long to call it.

    Returns
    -------
    float
        GFLOP/s.
    """
    a, b, out = np.ones((3, n, n), np.float32)
    np.dot(a, b, out=out)
    return float(2e-9 * n**3 / min(block(lambda: np.dot(a, b, out=out), seconds)))
