"""The process that an answer runs in: away from the reader's folder, keyboard and screen, with limits.

It is told the judges at the start, says "ready" when the judges are loaded, and waits for its order, a line of JSON. It
answers on what was its standard output, which an answer does not get to see: what is printed goes elsewhere.
"""

import contextlib
import functools
import json
import os
import signal
import sys

from tinyvae.exercises import course, judging

__all__ = ["main", "MEMORY"]

MEMORY = 2 * 2**30  # bytes that an answer may take beside what the package has
FILES = 100 * 2**20  # bytes of a file that an answer writes


def main(room):
    """Judge one answer, and end the process.

    Parameters
    ----------
    room : str
        The module of the lesson's judges.
    """
    orders, channel = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)  # what is printed
    os.dup2(nowhere, 2)
    course.judges(room)
    os.write(channel, b"ready\n")
    order = json.loads(orders.readline() or b"null")
    orders.close()
    if order is None:  # whoever gives them has gone
        os._exit(1)
    pid = os.getpid()

    def tell(kind, message=""):
        for stream in (sys.stdout, sys.__stdout__):
            with contextlib.suppress(BaseException):  # closed, or replaced by the answer
                stream.flush()
        if os.getpid() != pid:  # a fork that came back from the answer
            os._exit(0)
        text = json.dumps({"token": order["token"], "kind": kind, "message": message})
        os.write(channel, f"\n{text}\n".encode())

    os.chdir(order["folder"])
    sys.dont_write_bytecode = True
    _limit()
    tell(*_verdict(room, order, tell))
    os._exit(0)  # whatever threads are left


def _verdict(room, order, tell):
    path, name, limit = order["path"], order["name"], Limit(order["seconds"])
    try:
        with limit:
            found = judging.load(path)
    except BaseException as error:
        return judging.Verdict("unread", judging.failure(error, path, order["label"]).message)
    tell("loaded")
    if not any(one in found for one in order["names"]):
        return judging.Verdict("empty")
    if name not in found:
        return judging.Verdict("not done", f"{order['label']} does not define it")
    answer = found[name]
    return judging.judge(room, name, limit.on(answer) if callable(answer) else answer, path, order["label"])


class Limit:
    """A context whose inside may take so many seconds of computing, all its uses together; by the clock twice as many.

    When the first are over, TimeUp is raised inside; when the second are, the process ends. What Numba takes to compile
    is not counted. Without effect where the platform has no such timers: who started the process has a limit, too.

    Parameters
    ----------
    seconds : float
        How many.

    Attributes
    ----------
    seconds : float
        The same.
    left : tuple of float
        What is left, of computing and by the clock.
    depth : int
        How often it was entered and not yet left: an answer may be called from within its own call.
    """

    def __init__(self, seconds):
        self.seconds, self.left, self.depth = seconds, (seconds, 2 * seconds + 1), 0
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGPROF, self._up)

    def __enter__(self):
        self.depth += 1
        if self.depth == 1:
            self._set(*self.left)

    def __exit__(self, *_):
        self.depth -= 1
        if self.depth == 0:
            self.left = self._set(0, 0)

    def on(self, answer):
        """An answer whose calls are inside.

        Parameters
        ----------
        answer : callable
            The reader's.

        Returns
        -------
        callable
            The same in all else.
        """

        @functools.wraps(answer, updated=("__dict__",) if isinstance(answer, type(main)) else ())
        def limited(*arguments, **named):
            with self:
                return answer(*arguments, **named)

        return limited

    def _set(self, computing, clock):
        if not hasattr(signal, "setitimer"):
            return self.left
        left = [
            max(signal.setitimer(timer, value)[0], 1e-3)  # 0 would be no limit
            for timer, value in ((signal.ITIMER_PROF, computing), (signal.ITIMER_REAL, clock))
        ]
        return tuple(left)

    def _up(self, number, frame):
        inner = frame
        while inner is not None:
            if inner.f_globals.get("__name__", "").startswith("numba."):
                self._set(self.seconds, 2 * self.seconds + 1)
                return
            inner = inner.f_back
        raise judging.TimeUp(f"it took more than {self.seconds:g} s and was stopped")


def _limit():
    """Limit memory and files where the platform lets one."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    for what, most in ((resource.RLIMIT_AS, size + MEMORY), (resource.RLIMIT_FSIZE, FILES), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
