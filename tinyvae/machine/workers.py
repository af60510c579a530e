"""Independent chunks of work on as many threads as there are cores, and how many that is.

BLAS and the compiled loops release Python's lock, so that threads are enough. Meanwhile BLAS keeps to one thread: two
pools of threads would fight for the cores. How the threads share one network's pass is another matter: see `team`.
"""

import functools
import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tinyvae.machine import blas

__all__ = [
    "cores",
    "count",
    "this_thread",
    "Thread",
    "run",
]

MOST = 8  # threads, unless told: beyond, a batch has too few blocks


@functools.cache
def cores():
    """How many physical cores this process may use; where the system does not tell which share one, its processors.

    Returns
    -------
    int
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    siblings = set()
    for processor in os.sched_getaffinity(0):
        try:
            siblings.add(Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list").read_text())
        except OSError:
            siblings.add(processor)
    return len(siblings)


def count():
    """How many threads to use: the environment variable TINYVAE_WORKERS, or one for each physical core, at most 8.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        If TINYVAE_WORKERS is no such number.
    """
    value = os.environ.get("TINYVAE_WORKERS")
    if not value:
        return min(MOST, cores())
    if not value.isdigit() or int(value) < 1:
        raise ValueError(f"TINYVAE_WORKERS must be a whole number of at least 1, got {value!r}")
    return int(value)


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
        At most so many tasks, or two for each worker if these are more, are begun beyond the result that is read next.

    Yields
    ------
    object
        function(task).

    Raises
    ------
    ValueError
        If TINYVAE_WORKERS is not a whole number of at least 1.
    """
    workers, before = count(), this_thread.in_pool
    with blas.one_thread(), ThreadPoolExecutor(max(1, workers - 1), initializer=_enter) as pool:
        this_thread.in_pool = True  # it works along, and between two results is one of them, too
        try:
            pending = deque()
            for task in tasks:
                busy = workers == 1 or sum(not future.done() for future in pending) >= workers
                pending.append(_computed(function, task) if busy else pool.submit(function, task))
                while pending and (pending[0].done() or len(pending) > max(ahead, 2 * workers)):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            this_thread.in_pool = before


def _computed(function, task):
    """function(task) by this thread, as what a pool would have returned."""
    future = Future()
    try:
        future.set_result(function(task))
    except Exception as error:  # raised in its turn
        future.set_exception(error)
    return future


class Thread(threading.local):
    """What each thread says of itself.

    Attributes
    ----------
    in_pool : bool
        Whether it is one of many that share the cores already, each with a task of its own.
    """

    in_pool = False


this_thread = Thread()


def _enter():
    this_thread.in_pool = True
