"""The reader's own file: run it, take a function from it, and say in which of its lines something went wrong."""

import inspect
import os
import runpy
import sys
import traceback
from pathlib import Path

__all__ = ["load", "line_of"]


def load(path, name):
    """What a file of the reader's calls `name`; a class is made afresh, without arguments.

    The file is run as `python file.py` would: what lies beside it can be imported.

    Parameters
    ----------
    path, name : str
        The file, and the name in it.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        If the file cannot be run or holds no such function.
    FileNotFoundError
        If there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such file; give an estimator of your own as file.py:name")
    folder = os.path.dirname(os.path.abspath(path))
    sys.path.insert(0, folder)
    try:
        found = runpy.run_path(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the reader's file may fail in any way, sys.exit(0) included
        raise ValueError(f"{path} could not be run: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
        sys.path.append(folder)  # for imports inside its functions; last, so that it hides nothing of the package's
    if not callable(found.get(name)):
        functions = [
            key for key, value in found.items() if callable(value) and getattr(value, "__module__", "") == "<run_path>"
        ]
        raise ValueError(f"{path} holds no function {name!r}; it holds {', '.join(functions) or 'none'}")
    function = found[name]
    if isinstance(function, type):
        try:
            function = function()  # a class holds state: a fresh one
        except Exception as error:
            raise ValueError(f"{path}: {name}() could not be made: {type(error).__name__}: {error}") from error
    _require_signature(path, name, function)
    return function


def _require_signature(path, name, function):
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # it tells none
        return
    try:
        signature.bind("q", "target", "eps", "objective", "rng")
    except TypeError as error:
        raise ValueError(
            f"{path}: expected {name}(q, target, eps, objective=None, rng=None), got {name}{signature}"
        ) from error


def line_of(error, paths):
    """Where an error arose in the reader's files, or in what they called.

    Parameters
    ----------
    error : BaseException
        What was raised; the errors that led to it are looked at too.
    paths : sequence of str
        The files.

    Returns
    -------
    str or None
        The error in words with its file and line, None if it has nothing to do with these files.
    """
    inner = error
    while inner is not None:
        if frames := [frame for frame in traceback.extract_tb(inner.__traceback__) if frame.filename in paths]:
            where = f"{frames[-1].filename}, line {frames[-1].lineno}"
            if inner is not error and isinstance(error, (ValueError, TypeError)):
                return f"{where}: {error}"  # the package's own sentence on it
            return f"{where}: {type(inner).__name__}: {inner}".removesuffix(": ")
        inner = inner.__cause__ or (None if inner.__suppress_context__ else inner.__context__)
    return None
