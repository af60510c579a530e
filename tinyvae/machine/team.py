"""A pass on all cores: Python's side of `kernels.team`. It finds a pass's code, wakes helpers, and sends them home.

Where BLAS cannot be called by its address (see `blas.blocks`), and off x86, for which nothing here vouches that memory
is written in the order that the meeting point needs, a pass's NumPy twin runs in its place.
"""

import atexit
import contextlib
import functools
import os
import platform
import struct
import threading

import numpy as np
from numba import types

from tinyvae.kernels import team as kernels
from tinyvae.kernels.addresses import address, array_type
from tinyvae.kernels.blocks import BLOCKS
from tinyvae.kernels.compile import USE_NUMPY
from tinyvae.machine import blas, workers
from tinyvae.machine.arena import PLACES
from tinyvae.machine.workers import this_thread

__all__ = ["run", "Typed", "ready", "cut_into", "usable", "Team"]

# How n words are put into a call: quicker than to assign a list to an array.
PACK = [struct.Struct(f"{n}q").pack_into for n in range(kernels.LENGTH + 1)]
TURNS = 20_000  # looks for a call, about a millisecond, before a helper goes to sleep
PRECISIONS = {np.dtype(name): np.empty(0, name) for name in ("float32", "float64")}  # a pass's `like`
WORDS = array_type(np.dtype("int64"), 1)
X86 = platform.machine().lower() in ("x86_64", "amd64")


def run(dtype, *calls):
    """Run passes (see `kernels.passes`) on the team, or alone where the team is at work, or their NumPy twins.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the network.
    *calls : (function, int, array, tuple of int, Typed or None, ...)
        Each a pass, made by `compile.loop`, and what its twin takes; an activation or a loss is wrapped in Typed.
        Arrays are contiguous. One pass begins when the one before it is over.
    """
    if not usable():
        for pass_, *arguments in calls:
            plain = (argument.loop if isinstance(argument, Typed) else argument for argument in arguments)
            getattr(pass_, "twin", pass_)(*plain)
        return
    known = PLACES.get  # an array's address, remembered: to ask NumPy takes longer than a small layer
    blocks, words = _state.get("blocks") or _blocks(), []
    for pass_, *arguments in calls:
        words += _entry(pass_, dtype), len(arguments) + 1, blocks
        words += [a if type(a) is int else known(id(a)) or _word(a) for a in arguments]
    words.append(0)
    _team().call(words, PRECISIONS[dtype])


class Typed:
    """A loop that passes call, and its arrays' types. To be kept: its address is looked up once.

    Parameters
    ----------
    loop : function
        Made by `compile.loop`.
    *kinds : (numpy.dtype, int)
        Of each argument: its elements, and how many axes it has.
    """

    def __init__(self, loop, *kinds):
        self.loop, self._kinds = loop, kinds

    @functools.cached_property
    def address(self):
        """Where its machine code stands, int."""
        _forever.append(self)
        PLACES[id(self)] = address(self.loop, *(array_type(*kind) for kind in self._kinds))
        return PLACES[id(self)]


@contextlib.contextmanager
def ready():
    """A context for a whole run: the team has as many threads as `workers.count` says now, and BLAS keeps to one.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        If TINYVAE_WORKERS is not a whole number of at least 1.
    """
    n = workers.count()
    if not usable():
        yield
        return
    with _lock:
        if _state.get("team") and _state["team"].size != n:
            _close()
    with blas.one_thread():
        yield


@functools.cache
def usable():
    """Whether passes run compiled, on blocks.

    Returns
    -------
    bool
    """
    return not USE_NUMPY and X86 and blas.blocks() is not None


@contextlib.contextmanager
def cut_into(sizes):
    """A context in which all passes cut their products into blocks of other sizes, to measure what these do.

    Parameters
    ----------
    sizes : tuple of int
        Such as `blas.SMALL`.

    Yields
    ------
    None
    """
    before = _state.get("blocks")
    _state["blocks"] = _blocks(sizes) if usable() else None
    try:
        yield
    finally:
        _state["blocks"] = before


@functools.cache
def _blocks(sizes=None):
    """Where `blocks` stands. Never freed and never changed: from what it says a late helper sees that it is late."""
    kept = blas.blocks()
    if sizes is not None:
        kept = np.concatenate([kept[: -len(blas.SMALL)], np.array(sizes, np.int64)])
    if len(kept) != BLOCKS:
        raise ValueError(f"blocks have {len(blas.SMALL)} sizes, got {len(sizes)}")
    _forever.append(kept)
    return kept.ctypes.data


@functools.cache
def _entry(pass_, dtype):
    return address(pass_, WORDS, types.int64, WORDS, array_type(dtype, 1))


def _word(argument):
    """What stands in a call for an argument whose address is not remembered."""
    if isinstance(argument, np.ndarray):
        if not argument.flags.c_contiguous:
            raise ValueError(f"a pass takes contiguous arrays, got strides {argument.strides} of {argument.shape}")
        return argument.__array_interface__["data"][0]
    if argument is None:
        return 0
    if isinstance(argument, Typed):
        return argument.address
    return _sizes(argument) if isinstance(argument, tuple) else argument


@functools.cache
def _sizes(sizes):
    """Where a network's sizes stand, behind the number of its layers. Never freed: a late helper may read them."""
    kept = np.array([len(sizes) - 1, *sizes], np.int64)
    _forever.append((kept, sizes))
    PLACES[id(sizes)] = kept.ctypes.data
    return kept.ctypes.data


_forever = []  # what is here keeps its `id`, by which PLACES knows it, and its place


class Team:
    """Helpers that wait for a call, and the words (see `kernels.team`) by which it reaches them.

    Parameters
    ----------
    n : int
        Threads, the caller's included.
    """

    def __init__(self, n):
        line = 64 // 8
        room = np.zeros(kernels.WORDS + line, np.int64)
        start = -room.ctypes.data % 64 // 8
        self.words = room[start : start + kernels.WORDS]
        self.words[kernels.HELPERS] = n - 1
        self._passes = np.zeros(kernels.LENGTH, np.int64)
        self.size, self._busy, self._bells = n, threading.Lock(), []
        self._threads = []
        for _ in range(n - 1):
            bell = threading.Lock()  # who acquires it sleeps, until somebody rings by releasing it
            bell.acquire()
            self._bells.append(bell)
            thread = threading.Thread(target=self._help, args=(bell,), name="tinyvae-helper", daemon=True)
            self._threads.append(thread)
            thread.start()

    def call(self, words, like):
        """Run the passes of a call, words as they stand in it, on all threads, or alone where another has the team."""
        if self._busy.locked():
            _alone().call(words, like)
            return
        with self._busy:
            try:
                PACK[len(words)](self._passes, 0, *words)
                if kernels.lead(self.words, self._passes, like):
                    self._wake()
            except BaseException:  # Ctrl-C, and the leader's word that somebody sleeps is lost
                self._wake()
                raise

    def left_busy(self):
        """Whether it is at work; a team that one thread has to itself is not, unless Ctrl-C left it so."""
        return self._busy.locked()

    def close(self):
        """Send the helpers home, and wait until they have gone; a second for a call that is under way."""
        if not self._threads or not self._busy.acquire(timeout=1):  # Ctrl-C may have left it taken for ever
            return
        try:
            self.words[kernels.ALONE] = 0
            self._passes[0] = kernels.STOP
            kernels.lead(self.words, self._passes, PRECISIONS[np.dtype("float32")])
            self._wake()
        finally:
            self._busy.release()
        for thread in self._threads:
            thread.join(timeout=1)

    def _wake(self):
        for bell in self._bells:
            with contextlib.suppress(RuntimeError):  # it rings already
                bell.release()

    def _help(self, bell):
        words, passes, seen = self.words, np.zeros(kernels.LENGTH, np.int64), 0
        # A pass of float64 gets this array of float32, too: it goes by the type it was compiled for, and reads nothing.
        like = PRECISIONS[np.dtype("float32")]
        while True:
            seen = kernels.serve(words, seen, TURNS, passes, like)
            if seen == kernels.STOP:
                return
            words[kernels.ASLEEP] = 1  # if the leader does not see it now, it will after its next call
            if words[kernels.CALL] == seen or words[kernels.ALONE] > words[kernels.CALL]:
                bell.acquire()


_state, _lock, _own = {}, threading.Lock(), threading.local()


def _alone():
    """A team of this thread alone."""
    if not hasattr(_own, "team") or _own.team.left_busy():
        _own.team = Team(1)
    return _own.team


def _team():
    """The team of this process, or this thread alone where others have the cores already."""
    if this_thread.in_pool:
        return _alone()
    return _state.get("team") or _new_team()


def _new_team():
    with _lock:
        return _state.get("team") or _state.setdefault("team", Team(workers.count()))


def _close():
    if "team" in _state:
        _state.pop("team").close()


def _after_fork():
    global _lock
    _state.pop("team", None)  # threads do not survive a fork
    _lock = threading.Lock()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
