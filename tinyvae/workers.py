"""Two threads for what is large: a product with the loop around it in halves, or independent chunks side by side.

BLAS and the compiled loops release Python's lock, so that threads are enough. Within both functions
each thread's BLAS is single-threaded: two pools of threads would fight for the cores.
"""

import contextlib
import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from tinyvae import blas

DEFAULT = min(2, os.cpu_count() or 1)
WORTH_SPLITTING = 10_000_000  # multiply-adds, below which waking a thread costs more than it saves


def count():
    """How many threads to use: the environment variable TINYVAE_WORKERS, or two where there are two cores.

    1 leaves the threads to BLAS. Raises ValueError for what is no such number.
    """
    value = os.environ.get("TINYVAE_WORKERS")
    if not value:
        return DEFAULT
    if not value.isdigit() or int(value) < 1:
        raise ValueError(f"TINYVAE_WORKERS must be a whole number of at least 1, got {value!r}")
    return int(value)


def instead_of_blas():
    """A context for a whole run: our threads split what is large, and BLAS keeps to one; or, with one worker, all is left to BLAS."""
    return blas.one_thread() if count() > 1 else contextlib.nullcontext()


def split(function, n, work):
    """Call function(part) with slices that make up range(n): two halves on two threads if `work` is large, or all at once.

    work: about how many multiply-adds it takes. The halves must not depend on each other. Nothing is split while BLAS uses
    threads of its own: see `instead_of_blas`.
    """
    if work < WORTH_SPLITTING or n < 2 or blas.threads() != 1 or (helper := _helper()) is None:
        function(slice(0, n))
        return
    middle = (n + 1) // 2
    helper.both(function, slice(0, middle), slice(middle, n))


def run(function, tasks):
    """Yield function(task) for each of an iterable of tasks, in order, no more than a few ahead.

    Each task brings its own random stream, so that the number of workers changes the time and not one bit of the result.
    """
    workers = count()
    if workers == 1:
        yield from map(function, tasks)
        return
    with blas.one_thread(), ThreadPoolExecutor(workers, initializer=_refuse_helpers) as pool:
        pending = deque()
        for task in tasks:
            pending.append(pool.submit(function, task))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class Helper:
    """A thread that waits for the second half of something."""

    def __init__(self):
        self._go, self._done, self.busy = threading.Lock(), threading.Lock(), threading.Lock()
        self._go.acquire()
        self._done.acquire()
        threading.Thread(target=self._serve, name="tinyvae-helper", daemon=True).start()

    def _serve(self):
        while True:
            self._go.acquire()
            try:
                self._function(self._part)
                self._error = None
            except BaseException as error:
                self._error = error
            self._done.release()

    def both(self, function, first, second):
        """function(first) here and function(second) there; returns when both are done."""
        if not self.busy.acquire(blocking=False):  # another thread's halves are under way
            function(first)
            function(second)
            return
        try:
            self._function, self._part = function, second
            self._go.release()
            try:
                function(first)
            finally:
                self._done.acquire()
            if self._error is not None:
                raise self._error
        finally:
            self.busy.release()


_state = {}
_thread = threading.local()


def _helper():
    """This process's Helper, or None where a second thread is not wanted or would only add to a pool's."""
    if getattr(_thread, "in_pool", False) or count() == 1:
        return None
    if "helper" not in _state:
        _state["helper"] = Helper()
    return _state["helper"]


def _refuse_helpers():
    _thread.in_pool = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_state.clear)  # threads do not survive a fork
