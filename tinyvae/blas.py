"""How many threads NumPy's BLAS uses, where it is the OpenBLAS that NumPy's wheels bring; elsewhere nothing is changed.

Two threads that meet at every product pay off for large products only. For small ones the meeting costs more than
the work, and on a busy machine a thread that was put aside keeps the other waiting for milliseconds.
"""

import contextlib
import ctypes
import functools
from pathlib import Path

import numpy as np

SMALL = 4_000_000  # multiply-adds in a product, below which one thread is as fast as two


@functools.cache
def _calls():
    """OpenBLAS's (get, set) number of threads, or None. The library is loaded already: this only finds it."""
    package = Path(np.__file__).parent
    for path in [*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")]:
        library = ctypes.CDLL(str(path))
        for prefix in ("scipy_openblas", "openblas"):
            for suffix in ("64_", "_64_", ""):
                with contextlib.suppress(AttributeError):
                    return getattr(library, f"{prefix}_get_num_threads{suffix}"), getattr(library, f"{prefix}_set_num_threads{suffix}")
    return None


@contextlib.contextmanager
def at_most(n):
    """Within this context, BLAS uses at most n threads."""
    calls = _calls()
    before = calls[0]() if calls else n
    if before <= n:
        yield
        return
    calls[1](n)
    try:
        yield
    finally:
        calls[1](before)


def suited_to(rows, sizes):
    """A context in which products of `rows` rows through layers of these sizes run on one thread if they are small."""
    largest = max(rows * n_in * n_out for n_in, n_out in zip(sizes, sizes[1:]))
    return at_most(1) if largest < SMALL else contextlib.nullcontext()
