"""How many threads NumPy's BLAS uses, where it is the OpenBLAS that NumPy's wheels bring; elsewhere nothing is changed.

OpenBLAS's own threads meet in a spinning wait at every product. On a busy machine a thread that was put aside keeps the
others waiting for tens of milliseconds, and loops on other threads fight with them for the cores. So BLAS is kept to
one thread, and `workers` splits what is large.
"""

import contextlib
import ctypes
import functools
from pathlib import Path

import numpy as np


@functools.cache
def _calls():
    """OpenBLAS's (get, set) number of threads, or None. The library is loaded already: this only finds it."""
    package = Path(np.__file__).parent
    for path in [*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")]:
        library = ctypes.PyDLL(str(path))
        for suffix in ("64_", "_64_", ""):
            with contextlib.suppress(AttributeError):
                return tuple(getattr(library, f"scipy_openblas_{verb}_num_threads{suffix}") for verb in ("get", "set"))
    return None


def can_be_limited():
    """Whether this process's BLAS is one whose threads can be counted and set."""
    return _calls() is not None


class one_thread:
    """A context in which BLAS uses one thread; the number before is restored at the end."""

    def __enter__(self):
        calls = _calls()
        self.before = calls[0]() if calls else 1
        if self.before > 1:
            calls[1](1)

    def __exit__(self, *_):
        if self.before > 1:
            _calls()[1](self.before)
