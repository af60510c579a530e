"""`loop`: how a Python loop becomes a compiled kernel, or its NumPy twin; `instead_of`, for what is not compiled."""

import contextlib
import functools
import os
import pickle
import sys
from pathlib import Path

import numba

__all__ = ["loop", "instead_of", "USE_NUMPY", "FASTMATH"]

# Under NUMBA_DISABLE_JIT too: what the loops take from scalars.py has a body for the compiler only, so that uncompiled
# they would fill arrays with NaN.
USE_NUMPY = os.environ.get("TINYVAE_NUMPY", "") not in ("", "0") or bool(numba.config.DISABLE_JIT)

# "nnan" and "ninf" are left out on purpose: with them LLVM deletes the checks that let NaN through.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}


def loop(twin):
    """Decorator: compile the function below it with Numba, or use `twin` if TINYVAE_NUMPY is set.

    NUMBA_DISABLE_JIT counts as TINYVAE_NUMPY. Compilation happens at the first call and is cached on disk where a cache
    folder can be written. What was cached before the last edit of any file in this folder is compiled anew, and so is
    what a file of the cache that was cut short should hold.

    Parameters
    ----------
    twin : function
        The NumPy function that does the same with the same arguments.

    Returns
    -------
    function
        The decorator.
    """

    def choose(function):
        if USE_NUMPY:
            return twin
        compiled = numba.jit(nopython=True, nogil=True, fastmath=FASTMATH, error_model="numpy")(function)
        compiled.twin = twin
        compiled.compile = _cached(compiled)
        return compiled

    return choose


def instead_of(twin):
    """Decorator: the function below it, or its plain `twin` if TINYVAE_NUMPY is set.

    Parameters
    ----------
    twin : function
        A plain function of the same arguments.

    Returns
    -------
    function
        The decorator.
    """
    return lambda function: twin if USE_NUMPY else function


def _cached(compiled):
    """A kernel's `compile` that uses Numba's cache, and says so where there is nothing in it yet.

    The cache is looked for at the first call: for all kernels, this would be a fourth of the package's import.
    """
    plain = compiled.compile

    def compile_(signature):
        try:
            compiled.enable_caching()
        except RuntimeError:  # no folder for the cache can be written
            compiled.compile = plain
            _announce("at each start, for no folder for Numba's cache can be written")
            return plain(signature)
        folder = compiled.stats.cache_path
        _forget(compiled, _old_indexes(folder))
        if not any(map(_is_of(compiled), _times(folder, ".nbi"))):
            _announce("once")
        compiled.compile = _again_without_index(plain, lambda: _forget(compiled, _times(folder, ".nbi")))
        return compiled.compile(signature)

    return compile_


@functools.cache
def _announce(when):
    if sys.stderr:
        print(f"First run: compiling the kernels, {when}; some 20 s for a training.", file=sys.stderr, flush=True)


def _is_of(compiled):
    """Whether a file of Numba's cache is a kernel's, by its name."""
    function = compiled.py_func
    # <module>.<name>-<line>.py311.nbi; of "<locals>" in a name Numba leaves "locals"
    name = f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}-".replace("<", "").replace(">", "")
    return lambda file: file.startswith(name)


def _forget(compiled, indexes):
    """Remove a kernel's own among these indexes in Numba's cache: without it, what is cached is not found."""
    for file in filter(_is_of(compiled), indexes):
        with contextlib.suppress(OSError):  # another process was quicker, or it may not be removed
            os.unlink(os.path.join(compiled.stats.cache_path, file))


# A full disk or a crash can leave a file of the cache cut short, even empty. Numba reads it at the first call, and
# would raise what `pickle` raises.


def _again_without_index(compile, forget):
    """A kernel's `compile` that tries again, after `forget()`, where a file of the cache ends too early."""

    def compile_(signature):
        try:
            return compile(signature)
        except (EOFError, pickle.UnpicklingError):
            forget()
            return compile(signature)

    return compile_


# Numba sees that the file in which a kernel stands was edited, but not one that it takes a helper from.


@functools.cache
def _old_indexes(folder):
    """The names of a cache folder's indexes that are no newer than the newest source in this folder."""
    sources, indexes = _times(Path(__file__).parent, ".py"), _times(folder, ".nbi")
    newest = max(sources.values(), default=0)  # there are none in a zip file
    return [name for name, time in indexes.items() if time <= newest]


def _times(folder, suffix):
    """When a folder's files of this suffix were written last; without those that vanish meanwhile."""
    times = {}
    with contextlib.suppress(OSError), os.scandir(folder) as files:
        for file in files:
            if file.name.endswith(suffix):
                with contextlib.suppress(OSError):
                    times[file.name] = file.stat().st_mtime_ns
    return times
