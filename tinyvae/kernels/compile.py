"""`loop`: how a Python loop becomes a compiled kernel, or gives way to its NumPy twin; `instead_of`, for what is not compiled."""

import os

import numba

__all__ = ["loop", "instead_of", "USE_NUMPY", "FASTMATH"]

USE_NUMPY = os.environ.get("TINYVAE_NUMPY", "") not in ("", "0")

# "nnan" and "ninf" are left out on purpose: with them LLVM deletes the checks that let NaN through.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}


def loop(twin):
    """Decorator: compile the function below it with Numba, or use `twin` if TINYVAE_NUMPY is set.

    `twin` is the NumPy function that does the same with the same arguments. Compilation happens at
    the first call and is cached on disk where a cache folder can be written.
    """

    def choose(function):
        if USE_NUMPY:
            return twin
        options = dict(nopython=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
        try:
            return numba.jit(cache=True, **options)(function)
        except RuntimeError:  # no folder for the cache can be written
            return numba.jit(**options)(function)

    return choose


def instead_of(twin):
    """Decorator: the function below it, or its plain `twin`, of the same arguments, if TINYVAE_NUMPY is set."""
    return lambda function: twin if USE_NUMPY else function
