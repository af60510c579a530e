"""Run independent chunks of work on a few threads. BLAS and the compiled loops release Python's lock.

Results come back in the order of the tasks, and each task brings its own random stream, so that the number of
workers changes the time taken and not one bit of the result.
"""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from tinyvae import blas


def count():
    """How many threads to use: the environment variable TINYVAE_WORKERS, or two where there are two cores."""
    value = os.environ.get("TINYVAE_WORKERS", "")
    if not value:
        return min(2, os.cpu_count() or 1)
    if not value.isdigit() or int(value) < 1:
        raise ValueError(f"TINYVAE_WORKERS must be a whole number of at least 1, got {value!r}")
    return int(value)


def run(function, tasks):
    """Yield function(task) for each of an iterable of tasks, in order, no more than a few ahead."""
    workers = count()
    if workers == 1:
        yield from map(function, tasks)
        return
    with blas.at_most(1), ThreadPoolExecutor(workers) as pool:  # one pool of threads at a time
        pending = deque()
        for task in tasks:
            pending.append(pool.submit(function, task))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
