"""Where a command's results go: tried before the work, written into --out, and named at the end."""

import contextlib
import itertools
import json
import math
import os
import re
from pathlib import Path

import numpy as np

from tinyvae.cli import words
from tinyvae.machine import files

__all__ = [
    "make_folder",
    "require",
    "require_apart",
    "require_own_series",
    "unfinished",
    "write_json",
    "write_figure",
    "write_model",
    "write_array",
    "say_written",
]

ROOM = 2**20  # bytes that a figure or a JSON file may take
OF_TRAIN = re.compile(r"model(-\d{4,})?\.npz|train\.(json|png)")
OF_SERIES = re.compile(r"model-\d{4,}\.npz")


def make_folder(path):
    """Make a folder, and those that it lies in, unless it is there.

    Parameters
    ----------
    path : str or path
        The folder.

    Returns
    -------
    list of path
        Those that were made, the innermost first.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    missing = [one for one in (Path(path), *Path(path).parents) if not one.exists()]
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        there = next((one for one in (Path(path), *Path(path).parents) if os.path.lexists(one)), path)
        raise NotADirectoryError(f"{there} is a file, and is to be a folder: give another one") from error
    return missing


def require(args, *names, size=0):
    """Raise unless the results can be written.

    Parameters
    ----------
    args : argparse.Namespace
        Of the command.
    *names : str
        The files in --out.
    size : int
        Bytes that the largest array file takes.

    Raises
    ------
    OSError
        If one cannot, naming it.
    """
    for name in names:
        files.require_writable(Path(args.out, name), ROOM + size)


def require_apart(checkpoint, folder):
    """Raise if the checkpoint has the name of one of train's results, which would take its place at the end.

    Parameters
    ----------
    checkpoint, folder : str
        --checkpoint and --out.

    Raises
    ------
    ValueError
        If it has.
    """
    where, name = os.path.split(os.path.realpath(checkpoint))
    if where == os.path.realpath(folder) and OF_TRAIN.fullmatch(name):
        raise ValueError(
            f"--checkpoint {checkpoint} is where a result of this run goes: give another name, "
            f"for example {Path(folder, 'run.npz')}"
        )


def require_own_series(folder, vae, goes_on):
    """Raise if the folder holds a series of another run, of which this one's would leave a part.

    Parameters
    ----------
    folder : str or path
        --out.
    vae : VAE
        The model before its first step, which every series begins with.
    goes_on : bool
        Whether this run was begun before: then the series may be its own.

    Raises
    ------
    ValueError
        If it does.
    """
    there = sorted(path for path in Path(folder).glob("model-*.npz") if OF_SERIES.fullmatch(path.name))
    if there and not (there[0].name == "model-0000.npz" and _holds(there[0], vae) and (goes_on or len(there) == 1)):
        raise ValueError(
            f"{there[0]} belongs to the series of another run, which would be mixed with this one's: "
            "give another --out, or remove the earlier series"
        )


def _holds(path, vae):
    """Whether the file is what `vae.save` writes."""
    try:
        there, here = files.read_npz(path), vae.arrays()
    except Exception:  # each kind of damage fails in its own way
        return False
    return there.keys() == here.keys() and all(np.array_equal(there[name], here[name]) for name in here)


def unfinished(folder):
    """Where a run that did not reach its end puts its results: never in the place of an earlier run's.

    Parameters
    ----------
    folder : str or path
        --out.

    Returns
    -------
    path
        The folder itself if no model is there, else the first of its folders unfinished-1, unfinished-2, ... that is
        not there yet; it is made.
    """
    if not Path(folder, "model.npz").exists():
        return Path(folder)
    for i in itertools.count(1):
        inner = Path(folder, f"unfinished-{i}")
        with contextlib.suppress(FileExistsError):  # also another run's that was quicker, and a link that leads nowhere
            inner.mkdir()
            return inner


def write_json(args, name, record):
    """Write a record as JSON into --out, with null for NaN and infinity.

    Parameters
    ----------
    args : argparse.Namespace
        Of the command.
    name : str
        The file's.
    record : dict
        Of types that JSON knows.
    """
    data = (json.dumps(_finite(record), indent=1, allow_nan=False) + "\n").encode()
    _write(args, name, lambda path: files.write(path, data))


def write_figure(args, name, figure):
    """Write a figure into --out.

    Parameters
    ----------
    args : argparse.Namespace
        Of the command.
    name : str
        The file's.
    figure : matplotlib.figure.Figure
        From `tinyvae.plots`.
    """
    from tinyvae import plots

    _write(args, name, lambda path: plots.save(figure, path))


def write_model(args, name, vae):
    """Write a model into --out.

    Parameters
    ----------
    args : argparse.Namespace
        Of the command.
    name : str
        The file's.
    vae : VAE
        The model.
    """
    _write(args, name, vae.save)


def write_array(args, name, array):
    """Write an array into --out.

    Parameters
    ----------
    args : argparse.Namespace
        Of the command.
    name : str
        The file's, an npy.
    array : array
        Of any shape.
    """

    def save(path):
        with files.replacing(path) as file:
            np.save(file, array, allow_pickle=False)

    _write(args, name, save)


def _write(args, name, write):
    write(Path(args.out, name))
    args.written.append(Path(args.out, name))


def say_written(args):
    """Print what was written.

    Parameters
    ----------
    args : argparse.Namespace
        Of the command.
    """
    words.say(f"Written: {', '.join(map(str, args.written))}")


def _finite(value):
    """`value` with None for what JSON does not know: NaN and infinity."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
