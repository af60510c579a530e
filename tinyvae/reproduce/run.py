"""An experiment part by part: what is finished is kept, so that a run that was killed goes on where it was.

The folder holds settings.json, and of each part PART.json (its numbers, once it is finished), PART.npz (its checkpoint,
if it keeps one) and, while it runs, PART.begun.json (when).
"""

import datetime
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinyvae import datasets
from tinyvae.bench import machine
from tinyvae.machine import files
from tinyvae.training.history import say

__all__ = ["Outcome", "run", "require_data", "data_of"]

ROOM = 2**20  # bytes that a part's numbers may take
SOURCES = {  # where each file that is no download comes from
    "binarized_mnist": "the fixed binarization of Larochelle & Murray 2011, binarized_mnist_train.amat and _valid.amat "
    "of www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist, with the bits packed: "
    "np.savez('binarized_mnist_train.npz', bits=np.packbits(rows, axis=1))",
    "frey_faces": "frey_rawface.mat of S. Roweis, cs.nyu.edu/~roweis/data.html, saved as an array (1965, 560) of uint8",
}


class Outcome(NamedTuple):
    """What `run` returns.

    Attributes
    ----------
    results : dict
        {part: its numbers}.
    seconds : dict
        {part: seconds spent on it, through all interruptions, but for what a kill made it do again}.
    date : str
        When the last part was finished.
    machine : dict
        What that part was run on.
    """

    results: dict
    seconds: dict
    date: str
    machine: dict


def run(name, experiment, settings, seed, folder):
    """Run the parts of an experiment that are not finished yet.

    Parameters
    ----------
    name : str
        Its name, for messages.
    experiment : module
        One of `EXPERIMENTS`.
    settings : dataclass
        One of its RECIPES, or another of that class.
    seed : int
        Of all that is random.
    folder : str or path
        What it is kept in, made if missing.

    Returns
    -------
    Outcome

    Raises
    ------
    ValueError
        If the folder holds a run of other settings or another seed, or if a file in it is damaged.
    FileNotFoundError
        Where its data are not there.
    OSError
        If the folder cannot be written.
    """
    require_data(name, settings)
    parts, folder = experiment.parts(settings, seed), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _require_same(folder, {**asdict(settings), "seed": seed})
    done = {}
    for i, (part, function) in enumerate(parts.items(), 1):
        path = folder / f"{part}.json"
        if not path.exists():
            files.require_writable(path, ROOM)
            say(f"{name}: part {i} of {len(parts)}, {part}")
            numbers, seconds = _timed(function, folder / f"{part}.npz", folder / f"{part}.begun.json")
            date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
            _write(path, {"results": numbers, "seconds": seconds, "date": date, "machine": _machine()})
        done[part] = _read(path, ("results", "seconds", "date", "machine"))
    last = max(done.values(), key=lambda one: one["date"])
    results, seconds = ({part: one[key] for part, one in done.items()} for key in ("results", "seconds"))
    return Outcome(results, seconds, last["date"], last["machine"])


def data_of(settings):
    """The names of the datasets that a recipe needs.

    Parameters
    ----------
    settings : dataclass
        Its field `data`, if it has one, is a name or a tuple of names.

    Returns
    -------
    tuple of str
    """
    data = getattr(settings, "data", ())
    return (data,) if isinstance(data, str) else tuple(data)


def require_data(name, settings):
    """Raise unless the data of a recipe are there.

    Parameters
    ----------
    name : str
        The experiment's, for the message.
    settings : dataclass
        One of its RECIPES.

    Raises
    ------
    FileNotFoundError
        If they are not: which file is wanted, and where it comes from.
    ValueError
        If a file holds something else.
    """
    for one in data_of(settings):
        try:
            datasets.load(one)
        except FileNotFoundError as error:
            words = str(error).replace(", or take 'digits', which come with tinyvae", "")
            source = f" It is {SOURCES[one]}." if one in SOURCES else ""
            raise FileNotFoundError(f"{name} needs {one}: {words}{source}") from None


def _require_same(folder, asked):
    """Raise ValueError if the folder holds a run of other settings; write those of this one if it holds none."""
    path, asked = folder / "settings.json", json.loads(json.dumps(asked, default=_plain))
    if not path.exists():
        _write(path, asked)
    there = _read(path)
    differ = [name for name in {**there, **asked} if there.get(name) != asked.get(name)]
    if differ:
        words = "; ".join(f"{name} is {there.get(name)} there and {asked.get(name)} here" for name in differ)
        raise ValueError(f"{folder} holds a run of other settings: {words}. Give another --out, or remove that folder")


def _timed(function, checkpoint, begun):
    """A part's numbers, and its seconds: what is behind an earlier checkpoint counts along."""
    earlier = 0.0
    if begun.exists() and checkpoint.exists():
        before = _read(begun, ("seconds", "at"))
        earlier = before["seconds"] + max(0.0, os.stat(checkpoint).st_mtime - before["at"])
    _write(begun, {"seconds": earlier, "at": time.time()})
    began = time.perf_counter()
    numbers = function(checkpoint)
    seconds = earlier + time.perf_counter() - began
    begun.unlink()
    return numbers, seconds


def _machine():
    """What the numbers and the seconds depend on."""
    here = machine()
    return {name: here[name] for name in ("cpu", "cores", "workers", "python", "numpy", "numba")}


def _write(path, record):
    files.write(path, _bytes(record))


def _bytes(record):
    return (json.dumps(record, indent=1, default=_plain) + "\n").encode()


def _plain(value):
    """What JSON does not know of NumPy."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"a part returns numbers, words, lists and dicts of them, got {type(value).__name__}")


def _read(path, keys=()):
    """The dict in a JSON file. Raises ValueError if it is damaged."""
    try:
        record = json.loads(path.read_bytes())
        if not isinstance(record, dict) or not set(keys) <= set(record):
            raise ValueError(f"expected a dict with {', '.join(keys) or 'settings'}")
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; remove it, and what it held is computed again") from error
    return record
