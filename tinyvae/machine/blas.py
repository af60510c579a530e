"""How many threads NumPy's BLAS uses, if it is the OpenBLAS that NumPy's wheels bring; elsewhere nothing is changed.

OpenBLAS's own threads meet in a spinning wait at every product. On a busy machine a thread that was put aside keeps the
others waiting for tens of milliseconds, and loops on other threads fight with them for the cores. So BLAS is kept to
one thread, and `workers` splits what is large.
"""

import contextlib
import ctypes
import functools
from pathlib import Path

import numpy as np

__all__ = ["threads", "one_thread", "own_threads"]


@functools.cache
def _calls():
    """OpenBLAS's (get, set) number of threads and the number at first, or None. It is loaded: this only finds it."""
    package = Path(np.__file__).parent
    for path in [*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")]:
        library = ctypes.PyDLL(str(path))
        for suffix in ("64_", "_64_", ""):
            with contextlib.suppress(AttributeError):
                get, set_ = (getattr(library, f"scipy_openblas_{verb}_num_threads{suffix}") for verb in ("get", "set"))
                return get, set_, get()
    return None


def threads():
    """How many threads BLAS uses now.

    Returns
    -------
    int or None
        None where that cannot be told.
    """
    calls = _calls()
    return calls[0]() if calls else None


@contextlib.contextmanager
def _using(n):
    calls = _calls()
    before = calls[0]() if calls else n
    if before == n:
        yield
        return
    calls[1](n)
    try:
        yield
    finally:
        calls[1](before)


def one_thread():
    """A context in which BLAS uses one thread; the number before is restored at the end.

    For a whole run or measurement, not for one product: each change wakes BLAS's own threads, and they spin.

    Returns
    -------
    context manager
    """
    return _using(1)


def own_threads():
    """A context in which BLAS uses as many threads as it had when this package first asked.

    The number before is restored at the end.

    Returns
    -------
    context manager
    """
    return _using(_calls()[2] if _calls() else 1)
