"""This machine: what it is, and the roofs that it sets, bytes and operations a second."""

import contextlib
import os
import platform

import numba
import numpy as np

from tinyvae.bench.timing import block
from tinyvae.kernels.compile import loop
from tinyvae.machine import blas, workers

__all__ = ["machine", "bandwidth", "peak", "add_twice_numpy", "add_twice"]


def machine():
    """What the numbers depend on.

    Returns
    -------
    dict
        "cpu", "system", "python", "numpy", "numba": str; "cores", "workers": int; "blas_threads": int, or None where
        that cannot be told; "load_average": list of float over 1, 5 and 15 minutes, or None.
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
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


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


def bandwidth(n_bytes, seconds=0.3, threads=2):
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
        2 splits it between two threads where they are worth it, see `workers.split`; any other number does not.

    Returns
    -------
    float
        GB/s.
    """
    a, b = np.zeros((2, n_bytes // 8), np.float32)

    def run():
        add_twice(a, b)

    if threads == 2:

        def run():
            workers.split(lambda part: add_twice(a[part], b[part]), len(a), 4 * len(a))

    with workers.instead_of_blas():  # or nothing would be split
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
