"""Two threads for what is large: a product with its loop in halves, one job beside another, or independent chunks.

BLAS and the compiled loops release Python's lock, so that threads are enough. Meanwhile BLAS keeps to one thread:
two pools of threads would fight for the cores.
"""

import contextlib
import functools
import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

import numpy as np

from tinyvae.kernels.waiting import wait_for_change
from tinyvae.machine import blas

__all__ = [
    "CORES",
    "DEFAULT",
    "WORTH_SPLITTING",
    "count",
    "instead_of_blas",
    "split",
    "parts",
    "share",
    "meanwhile",
    "run",
    "Tasks",
    "Helper",
]

# Those that this process may use.
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
DEFAULT = min(2, CORES)
WORTH_SPLITTING = 10_000_000  # multiply-adds, below which handing over to a thread costs more than it saves
TURNS = 200_000  # looks at a flag, about a tenth of a millisecond, before a thread goes to sleep


def count():
    """How many threads to use: the environment variable TINYVAE_WORKERS, or two where there are two cores.

    Returns
    -------
    int
        At least 1; 1 leaves the threads to BLAS.

    Raises
    ------
    ValueError
        If TINYVAE_WORKERS is no such number.
    """
    value = os.environ.get("TINYVAE_WORKERS")
    if not value:
        return DEFAULT
    if not value.isdigit() or int(value) < 1:
        raise ValueError(f"TINYVAE_WORKERS must be a whole number of at least 1, got {value!r}")
    return int(value)


def instead_of_blas():
    """A context for a whole run: our threads split what is large, and BLAS keeps to one.

    With one worker, all is left to BLAS.

    Returns
    -------
    context manager

    Raises
    ------
    ValueError
        If TINYVAE_WORKERS is not a whole number of at least 1.
    """
    return blas.one_thread() if count() > 1 else contextlib.nullcontext()


def split(function, n, work):
    """Call a function with slices that make up a range: two halves on two threads if the work is large, or all at once.

    The halves must not depend on each other. Nothing is split while BLAS uses threads of its own (see
    `instead_of_blas`). An error of either half is raised when both have ended.

    Parameters
    ----------
    function : function
        Of a slice.
    n : int
        The length of the range.
    work : float
        About how many multiply-adds all of it takes.
    """
    if work < WORTH_SPLITTING or n < 2 or _helper() is None:
        function(slice(0, n))
        return
    middle = (n + 1) // 2
    with meanwhile([functools.partial(function, slice(middle, n))], work):
        function(slice(0, middle))


def parts(n, work):
    """Slices that make up a range, to be shared between two threads: up to four, if their work is large.

    Parameters
    ----------
    n : int
        The length of the range.
    work : float
        About how many multiply-adds all of it takes.

    Returns
    -------
    list of slice
        One where there is no second thread to use.
    """
    k = min(n, 4, int(work) // WORTH_SPLITTING)
    if k < 2 or _helper() is None:
        return [slice(0, n)]
    return [slice(i * n // k, (i + 1) * n // k) for i in range(k)]


def share(functions, work):
    """Call functions that do not depend on each other, on two threads if their work is worth it.

    Parameters
    ----------
    functions : sequence of functions
        Of no arguments.
    work : float
        About how many multiply-adds all of them take.
    """
    with meanwhile(functions, work):
        pass


@contextlib.contextmanager
def meanwhile(functions, work):
    """A context in whose body another thread calls functions, one after the other, if their work is worth it.

    What is not begun when the body ends is done there, so that a thread that the system does not let run holds nothing
    up. At the end all are done; after an error in the body none is running any more. They must not depend on each other
    or on the body. Where there is no second thread to use, they are called first. What goes wrong in one is raised.

    Parameters
    ----------
    functions : sequence of functions
        Of no arguments.
    work : float
        About how many multiply-adds all of them take.

    Yields
    ------
    None
    """
    helper = _helper() if work >= WORTH_SPLITTING else None
    if helper is None:
        for function in functions:
            function()
        yield
        return
    tasks = Tasks(functions)
    helper.give(tasks)
    try:
        yield
    except BaseException:
        tasks.abandon()
        raise
    tasks.finish()


def run(function, tasks, ahead=2):
    """Yield a function's result for each of an iterable of tasks, in order, computed on `count` threads.

    Each task brings its own random stream, so that the number of workers changes the time and not one bit of the
    result.

    Parameters
    ----------
    function : function
        Of a task.
    tasks : iterable
    ahead : int
        At most so many tasks, or one for each worker if these are more, are begun beyond the result that is read next.

    Yields
    ------
    object
        function(task).

    Raises
    ------
    ValueError
        If TINYVAE_WORKERS is not a whole number of at least 1.
    """
    workers = count()
    if workers == 1:
        yield from map(function, tasks)
        return
    with blas.one_thread(), ThreadPoolExecutor(workers, initializer=_refuse_helpers) as pool:
        pending = deque()
        for task in tasks:
            pending.append(pool.submit(function, task))
            if len(pending) > max(ahead, workers):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class Tasks:
    """Functions that two threads share: each takes the next that nobody has begun.

    Parameters
    ----------
    functions : iterable of functions
        Of no arguments, independent of each other.
    """

    def __init__(self, functions):
        self._pending, self._error = deque(functions), None
        self._elsewhere = len(self._pending)  # how many are not begun by the thread that made this
        self._ended, self._flag = threading.Lock(), np.zeros(1, np.int64)
        self._ended.acquire()

    def serve(self):
        """The helper's part: the first, until none is left."""
        begun = 0
        while self._pending:
            try:
                function = self._pending.popleft()
            except IndexError:  # the other thread was quicker
                break
            begun += 1
            try:
                function()
            except BaseException as error:
                self._error = error
        if begun:
            self._flag[0] = 1
            self._ended.release()

    def finish(self, call=lambda function: function()):
        """The other thread's part: the last, until none is left; then wait for the helper's, and raise its error."""
        try:
            while self._pending:
                try:
                    function = self._pending.pop()
                except IndexError:
                    break
                self._elsewhere -= 1
                call(function)
        finally:
            if self._elsewhere and not wait_for_change(self._flag, 0, TURNS):
                self._ended.acquire()
        if self._error is not None:
            raise self._error

    def abandon(self):
        """Drop what is not begun, and wait for what is."""
        with contextlib.suppress(BaseException):
            self.finish(call=lambda function: None)


class Helper:
    """A thread that serves Tasks. For a while it looks out for the next, ready to begin at once; then it sleeps."""

    def __init__(self):
        self._queue, self._given = SimpleQueue(), np.zeros(1, np.int64)
        wait_for_change(self._given, 0, 0)  # compiled before anyone waits
        threading.Thread(target=self._serve, name="tinyvae-helper", daemon=True).start()

    def give(self, tasks):
        """Hand over Tasks, and return at once."""
        self._queue.put(tasks)
        self._given[0] += 1

    def _serve(self):
        while True:
            seen = int(self._given[0])
            try:
                tasks = self._queue.get_nowait()
            except Empty:
                if wait_for_change(self._given, seen, TURNS):
                    continue
                tasks = self._queue.get()
            tasks.serve()


_state = {}
_thread = threading.local()


def _helper():
    """This process's Helper, or None where a second thread is not wanted or would only add to a pool's."""
    if getattr(_thread, "in_pool", False) or count() == 1 or blas.threads() != 1:
        return None
    if "helper" not in _state:
        _state["helper"] = Helper()
    return _state["helper"]


def _refuse_helpers():
    _thread.in_pool = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_state.clear)  # threads do not survive a fork
