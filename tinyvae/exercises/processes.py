"""Answers in processes of their own: one that hangs, crashes, prints or eats memory without end harms nothing else."""

import contextlib
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import NamedTuple

from tinyvae.exercises.judging import Verdict

__all__ = ["Judged", "judge"]

START, REST = 300, 120  # seconds for loading the package, and for the judge's own part
SHOWN, WIDTH = 5, 110  # lines of what an answer prints, and their length
CODE = "import sys; sys.path[:] = {!r}; from tinyvae.exercises.child import main; main({!r})"


class Judged(NamedTuple):
    """One exercise, judged.

    Attributes
    ----------
    name : str
        The exercise's.
    verdict : Verdict
        What is to be said.
    printed : list of str
        The first lines that it printed.
    more : int
        How many lines there were beside these.
    """

    name: str
    verdict: Verdict
    printed: list
    more: int


def judge(room, names, path, label, seconds=10.0):
    """Judge a file's answers, one after another.

    Parameters
    ----------
    room : str
        The module of the lesson's judges.
    names : sequence of str
        The exercises'.
    path, label : str
        The file, and what it is called in messages.
    seconds : float
        What an exercise may take of computing, in the answer itself; by the clock twice as many.

    Yields
    ------
    Judged
        For each name.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tinyvae-", ignore_cleanup_errors=True) as folder,
        contextlib.ExitStack() as stack,
    ):
        waiting = [stack.enter_context(_Process(room, folder)) for _ in names]  # they load beside each other
        for name, process in zip(names, waiting):
            order = {"name": name, "names": list(names), "path": os.path.abspath(path), "label": label}
            order |= {"seconds": seconds, "folder": process.folder, "token": process.token}
            verdict = process.verdict(order)
            process.end()
            yield Judged(name, verdict, process.printed, process.more)


class _Process:
    """A process that has loaded the judges and waits for its order; a context that ends it, and all that it started."""

    def __init__(self, room, folder):
        self.printed, self.more, self.said = [], 0, queue.SimpleQueue()
        self.token, self.folder = secrets.token_hex(16), tempfile.mkdtemp(dir=folder)
        paths = [os.path.abspath(path) for path in sys.path]
        self.process = subprocess.Popen(
            [sys.executable, "-c", CODE.format(paths, room)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=_environment(self.folder),
            start_new_session=True,  # Ctrl-C is for the command, which then ends this one
        )
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._hear, self._drain)]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def _hear(self):
        """Put what comes through the channel into a queue, None at its end; what others write there is left out."""
        with contextlib.suppress(OSError, ValueError):
            if self.process.stdout.readline(100_000) == b"ready\n":  # before any answer is loaded
                self.said.put({"kind": "ready"})
            while line := self.process.stdout.readline(100_000):
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    message = json.loads(line)
                    if message["token"] == self.token:
                        self.said.put(message)
        self.said.put(None)

    def _drain(self):
        """Take all that is printed, and keep its first lines."""
        rest = b""
        with contextlib.suppress(OSError, ValueError):
            while piece := os.read(self.process.stderr.fileno(), 1 << 16):
                *lines, rest = (rest + piece).split(b"\n")
                self._keep(lines)
                rest = rest[: 4 * WIDTH]
        self._keep([rest] if rest else [])

    def _keep(self, lines):
        shown = lines[: SHOWN - len(self.printed)]
        for line in shown:
            text = "".join(c if c.isprintable() else "?" for c in line.rstrip(b"\r").decode(errors="replace"))
            self.printed.append(text if len(text) <= WIDTH else f"{text[:WIDTH]} ...")
        self.more += len(lines) - len(shown)

    def verdict(self, order):
        """Hand over the order, and wait."""
        first = self._next(START)
        if first is None or first["kind"] != "ready":
            raise RuntimeError("the process that judges did not start")
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.close()
        told, until = None, time.monotonic() + 2 * order["seconds"] + REST
        while message := self._next(until - time.monotonic()):
            told = message
            if told["kind"] != "loaded":
                return Verdict(told["kind"], told["message"])
        end = self._ended(order["seconds"])
        return Verdict("failed" if told else "unread", end)

    def _next(self, seconds):
        """The next message, None where the process has ended or the time is up."""
        until = time.monotonic() + seconds
        while True:
            ended = self.process.poll() is not None  # asked first: what it said before is in the pipe by now
            try:
                return self.said.get(timeout=0.5 if ended else min(0.2, max(until - time.monotonic(), 0.01)))
            except queue.Empty:
                if ended or time.monotonic() > until:
                    return None

    def _ended(self, seconds):
        """How the process ended that gave no verdict."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.5)
        status = self.process.poll()
        late = [getattr(signal, name, None) for name in ("SIGALRM", "SIGPROF")]
        if status is None or -status in late:
            return f"it took more than {seconds:g} s and was stopped"
        if status < 0:
            try:
                return f"its process was ended by the signal {signal.Signals(-status).name}"
            except ValueError:
                return f"its process was ended by signal {-status}"
        return f"it ended its process, with exit status {status}"

    def end(self):
        """End the process and all that it started, and take what it had printed."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join(timeout=1)
        if not self.threads[1].is_alive() and not self.threads[0].is_alive():
            for pipe in (self.process.stdout, self.process.stderr):
                pipe.close()
        with contextlib.suppress(OSError):
            self.process.stdin.close()


def _environment(folder):
    """One thread each, no window, temporary files where they are removed, and UTF-8."""
    threads = (
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "TINYVAE_WORKERS",
    )
    more = {"MPLBACKEND": "Agg", "TMPDIR": folder, "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}
    return os.environ | dict.fromkeys(threads, "1") | more
