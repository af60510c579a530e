"""A training run in a file, so that one that was stopped goes on as if it had not been: the same numbers, bit for bit.

The file is a model file (`VAE.load` reads it) that also holds the run: the settings in words, the optimiser's
and the estimator's state, and the history. No random generator's state: each epoch has a stream of its own.
"""

import hashlib
import json
import os

import numpy as np

from tinyvae.estimators import learns
from tinyvae.machine import files
from tinyvae.training.history import History, Record, Validation

__all__ = ["require_state", "save", "resume"]


def require_state(plan):
    """Raise unless all that learns along with the model can be saved.

    Parameters
    ----------
    plan : Plan
        The run.

    Raises
    ------
    TypeError
        If the optimiser, or an estimator that learns, lacks `state()` or `restore(state)`.
    """
    learners = {"optimizer": plan.optimizer} | ({"estimator": plan.estimator} if learns(plan.estimator) else {})
    for name, learner in learners.items():
        if not (hasattr(learner, "state") and hasattr(learner, "restore")):
            raise TypeError(f"a checkpoint needs an {name} with state() and restore(state), got {learner!r}")


def save(path, plan, validation, history):
    """Write everything that the run needs to go on, in one step from the old file to the new one.

    Parameters
    ----------
    path : str or path
        The file.
    plan : Plan
        The run, its model and all that learns along with it.
    validation : array (n, D) or None
        The held-out data, of which the file keeps a fingerprint.
    history : History
        What happened so far.
    """
    states = {f"{owner}.{name}": array for owner, state in _states(plan).items() for name, array in state.items()}
    records, validations = (np.array(rows, "float64").reshape(-1, 6) for rows in (history.records, history.validation))
    settings = json.dumps(_settings(plan, validation))
    files.write_npz(
        path, {**plan.vae.arrays(), **states, "settings": settings, "records": records, "validation": validations}
    )


def resume(path, plan, validation):
    """Put the run back to where the file left it: model, optimiser, estimator.

    Parameters
    ----------
    path : str or path
        The file.
    plan : Plan
        The run, whose model, optimiser and estimator are changed in place.
    validation : array (n, D) or None
        The held-out data.

    Returns
    -------
    History
        That of the file, empty if there is none.

    Raises
    ------
    ValueError
        If the file belongs to other settings, data or another model (it says what differs), or if it is damaged or no
        checkpoint. Then nothing is changed.
    """
    path, history = os.fspath(path), History()
    try:
        file = files.read_npz(path)
        there, theta = json.loads(str(file["settings"])), file["theta"]
        history.records = [Record(int(step), int(epoch), *rest) for step, epoch, *rest in file["records"].tolist()]
        history.validation = [
            Validation(int(epoch), int(step), *rest) for epoch, step, *rest in file["validation"].tolist()
        ]
    except FileNotFoundError:
        return history
    except Exception as error:  # each kind of damage fails in its own way
        raise ValueError(
            f"{path} is damaged or is not a checkpoint of a training run: {error}; give another path"
        ) from error
    here = _settings(plan, validation)
    differences = [
        f"{name} is {there.get(name)} there and {here.get(name)} here"
        for name in {**there, **here}
        if there.get(name) != here.get(name)
    ]
    if differences:
        raise ValueError(
            f"{path} belongs to another run: {'; '.join(differences)}. Give another path, or the run's own settings"
        )
    plan.vae.theta[:] = theta
    for owner in _states(plan):
        state = {name.removeprefix(f"{owner}."): array for name, array in file.items() if name.startswith(f"{owner}.")}
        getattr(plan, owner).restore(state)
    return history


def _states(plan):
    """{"optimizer": {name: array}, and "estimator" if it has a state}."""
    return {
        owner: getattr(plan, owner).state()
        for owner in ("optimizer", "estimator")
        if hasattr(getattr(plan, owner), "state")
    }


def _settings(plan, validation):
    """{name: words}: what must be the same for the numbers to be the same. The number of epochs need not be."""
    words = {
        name: _words(getattr(plan, name))
        for name in ("estimator", "objective", "optimizer", "noise", "n_samples", "batch_size", "seed")
    }
    return {
        **{name: _words(value) for name, value in plan.vae.config.items()},
        **words,
        "x": _digest(plan.x),
        "validation": _digest(validation),
    }


def _words(value):
    """A function's name, or what an object says of itself; its type's name if it says no more than where it lives."""
    text = getattr(value, "__name__", None) or repr(value)
    return type(value).__name__ if " at 0x" in text else text


def _digest(x):
    """The shape, type and a fingerprint of data, or "none"."""
    if x is None:
        return "none"
    return f"{x.dtype} {x.shape} with digest {hashlib.sha256(np.ascontiguousarray(x).data).hexdigest()[:12]}"
