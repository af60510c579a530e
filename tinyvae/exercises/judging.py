"""One answer, judged here and now: who does not trust it does so in a process of its own, see `processes.py`."""

import sys
import traceback
import types
from pathlib import Path
from typing import NamedTuple

from tinyvae.exercises import course
from tinyvae.exercises.contract import Wrong

__all__ = ["Verdict", "TimeUp", "load", "judge", "failure", "where", "LONGEST"]

LONGEST = 600  # characters of a message


class Verdict(NamedTuple):
    """What is to be said of one answer.

    Attributes
    ----------
    kind : str
        "right", "wrong", "not done", "failed" (an exception of its own, or an end of its process), "unread" where
        the file itself could not be run, "empty" where it defines none of the lesson's exercises.
    message : str
        In one line: what is wrong, "" where there is nothing to add.
    """

    kind: str
    message: str = ""


class TimeUp(BaseException):
    """Raised inside an answer that takes too long; no Exception, so that it is not caught in passing."""


def load(path):
    """Run a file of answers.

    Parameters
    ----------
    path : str
        The file. What lies beside it can be imported.

    Returns
    -------
    dict
        {name: object}, all that it defines. Its exceptions are let through.
    """
    folder = str(Path(path).resolve().parent)
    module = types.ModuleType("tinyvae_answers")
    module.__file__ = path
    sys.modules[module.__name__] = module  # where dataclasses look
    sys.path.insert(0, folder)
    try:
        exec(compile(Path(path).read_bytes(), path, "exec", dont_inherit=True), vars(module))
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.append(folder)  # for imports inside its functions; last, so that it hides nothing
    return vars(module)


def judge(room, name, answer, path, label=None):
    """The verdict on one answer.

    Parameters
    ----------
    room : str
        The module of the lesson's judges.
    name : str
        The exercise's.
    answer : object
        What the file at `path` calls so.
    path : str
        As it was given to `load`.
    label : str, optional
        What the file is called in messages, its path if None.

    Returns
    -------
    Verdict
    """
    if not callable(answer):
        return Verdict("wrong", f"{name} must be a function, it is of type {type(answer).__name__}")
    try:
        course.judges(room)[name](answer)
    except Wrong as wrong:
        return Verdict("wrong", _line(str(wrong)))
    except BaseException as error:  # an answer may raise anything
        line, own = where(error, path)
        if line is None and isinstance(error, KeyboardInterrupt):
            raise
        if own and isinstance(error, NotImplementedError):
            return Verdict("not done")
        return failure(error, path, label or path)
    return Verdict("right")


def failure(error, path, label):
    """The verdict on an answer that an exception ended.

    Parameters
    ----------
    error : BaseException
        What was raised.
    path, label : str
        The answers' file, and what it is called.

    Returns
    -------
    Verdict
        "failed", with the line of the file where it arose.
    """
    line, _ = where(error, path)
    try:
        text = str(error)
    except BaseException:  # an exception of the answer's own making
        text = ""
    if isinstance(error, MemoryError):
        text = text or "out of memory"
    said = f"{type(error).__name__}: {text}".removesuffix(": ") if not isinstance(error, TimeUp) else text
    place = f" ({label}, line {line})" if line else ""
    return Verdict("failed", _line(said) + place)


def where(error, path):
    """Where in a file an exception arose.

    Parameters
    ----------
    error : BaseException
        What was raised; those that led to it are looked at too.
    path : str
        The file.

    Returns
    -------
    int or None
        The innermost line of the file, None if the file has nothing to do with it.
    bool
        Whether it was raised there, and not in what is called there.
    """
    while error is not None:
        frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
        if lines := [line for file, line in frames if file == path]:
            return lines[-1], frames[-1][0] == path
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None, False


def _line(text):
    """A text in one line, without what a terminal would obey, and cut where it is too long."""
    text = " ".join("".join(c if c.isprintable() or c.isspace() else "?" for c in text).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
