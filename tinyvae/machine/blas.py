"""NumPy's OpenBLAS: how many threads it uses, where its products stand, into which blocks they are cut.

Where NumPy has another BLAS than its wheels bring, nothing is changed, and passes are not compiled.

OpenBLAS's own threads meet in a spinning wait at every product. On a busy machine a thread that was put aside keeps the
others waiting for tens of milliseconds, and loops on other threads fight with them for the cores. So BLAS is kept to
one thread; `team` shares a network's pass, `workers` independent tasks.
"""

import contextlib
import ctypes
import functools
import os
import threading
from pathlib import Path

import numpy as np

__all__ = ["threads", "one_thread", "own_threads", "blocks", "core"]


# Kernels that multiply a small block without packing it first.
UNPACKED = ("SkylakeX", "Cooperlake", "Sapphirerapids")
# How products are cut, in the order of `kernels.blocks`: SMALL for those kernels, LARGE for all others.
SMALL = (
    400_000,  # MOST
    50,  # ROWS
    64,  # COLUMNS
    1_000_000,  # BACK_MOST
    1_200,  # BACK
    48,  # BACK_COLUMNS
    50,  # SHORT_ROWS
    128,  # SHORT_COLUMNS
    12_000,  # GRADIENT
)
LARGE = 2**40, 128, 256, 2**40, 128 * 256, 256, 128, 256, 64_000

# A number of threads is the whole process's. So that no run's last bits hang on what ends beside it, each open context
# below keeps its wish here in the order of entry: the latest counts, and when the last has gone, BLAS's own number.
_wishes, _state = {}, {"before": None}
_lock = threading.RLock()  # re-entered where the garbage collector closes a generator that was left in the middle

if hasattr(os, "register_at_fork"):  # a child inherits the wishes (a run that waits may go on there), and a free lock
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def _calls():
    with _lock:  # or a second thread, here for the first time too, might take a number already changed for BLAS's own
        return _found()


@functools.cache
def _found():
    """OpenBLAS's (get, set) number of threads and the number at first, or None. It is loaded: this only finds it."""
    package = Path(np.__file__).parent
    for path in [*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")]:
        library = ctypes.PyDLL(str(path))
        for suffix in ("64_", "_64_", ""):
            with contextlib.suppress(AttributeError):
                get, set_ = (getattr(library, f"scipy_openblas_{verb}_num_threads{suffix}") for verb in ("get", "set"))
                return get, set_, get()
    return None


@functools.cache
def _library():
    """NumPy's own OpenBLAS of 64-bit integers, or None."""
    package = Path(np.__file__).parent
    for path in [*package.parent.glob("numpy.libs/*openblas*64*"), *package.glob(".dylibs/*openblas*64*")]:
        library = ctypes.PyDLL(str(path))
        if hasattr(library, "scipy_cblas_sgemm64_"):
            return library
    return None


def core():
    """The name of OpenBLAS's kernels, such as "SkylakeX".

    Returns
    -------
    str or None
    """
    library = _library()
    if library is None or not hasattr(library, "scipy_openblas_get_corename64_"):
        return None
    library.scipy_openblas_get_corename64_.restype = ctypes.c_char_p
    return library.scipy_openblas_get_corename64_().decode()


@functools.cache
def blocks():
    """How a pass reaches BLAS and cuts its products, see `kernels.blocks.BLOCKS`; None where it cannot reach it.

    Returns
    -------
    array (BLOCKS,) or None
        int64. It is never freed.
    """
    library = _library()
    if library is None:
        return None
    gemm = (ctypes.cast(getattr(library, f"scipy_cblas_{name}gemm64_"), ctypes.c_void_p).value for name in "sd")
    return np.array([*gemm, *(SMALL if core() in UNPACKED else LARGE)], np.int64)


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
    """A context in which BLAS uses n threads, or with None as many as at first."""
    calls = _calls()
    if calls is None:
        yield
        return
    get, set_, at_first = calls
    wish = object()
    with _lock:
        if not _wishes:
            _state["before"] = get()
        _wishes[wish] = at_first if n is None else n
        _grant(get, set_)
    try:
        yield
    finally:
        with _lock:
            del _wishes[wish]
            _grant(get, set_)


def _grant(get, set_):
    while get() != (n := [_state["before"], *_wishes.values()][-1]):  # again, if the collector removed a wish meanwhile
        set_(n)


def one_thread():
    """A context in which BLAS uses one thread; when the last such context has ended, in any order, the number before.

    For a whole run or measurement, not for one product: each change wakes BLAS's own threads, and they spin. A
    generator that is left in the middle keeps its context until it is closed or collected.

    Returns
    -------
    context manager
    """
    return _using(1)


def own_threads():
    """A context in which BLAS uses as many threads as it had when this package first asked, to measure the machine.

    It overrules each `one_thread` entered before it, a run in another thread too, and at its end these count again. A
    `one_thread` entered within it counts as ever.

    Returns
    -------
    context manager
    """
    return _using(None)
