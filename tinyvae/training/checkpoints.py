"""A training run in a file, so that one that was stopped goes on as if it had not been: the same numbers, bit for bit.

The file is a model file (`VAE.load` reads it) that also holds the run: the settings in words, the optimiser's
and the estimator's state, and the history. No random generator's state: each epoch has a stream of its own.
What is compared before a run goes on stands in the notes of `fit`.
"""

import copy
import functools
import hashlib
import inspect
import json
import os

import numpy as np

from tinyvae import validate
from tinyvae.estimators import learns
from tinyvae.machine import files
from tinyvae.training.history import History, Record, Validation

__all__ = ["require_state", "is_fresh", "settings", "save", "resume"]


def require_state(plan):
    """Raise unless all that learns along with the model can be saved.

    Parameters
    ----------
    plan : Plan
        The run.

    Raises
    ------
    TypeError
        If the optimiser, or an estimator that learns, lacks `state()` or `restore(state)`, or if its state is not made
        of arrays that a file takes without pickle.
    """
    keeps = learns(plan.estimator) or hasattr(plan.estimator, "state")
    for name, learner in {"optimizer": plan.optimizer, **({"estimator": plan.estimator} if keeps else {})}.items():
        if not (hasattr(learner, "state") and hasattr(learner, "restore")):
            raise TypeError(f"a checkpoint needs an {name} with state() and restore(state), got {learner!r}")
    _states(plan)


def is_fresh(learner):
    """Whether there is nothing that it could forget.

    Parameters
    ----------
    learner : optimiser, or estimator that learns

    Returns
    -------
    bool
        True of one that does not tell, having no `state()` and `restore(state)`.
    """
    if not (hasattr(learner, "state") and hasattr(learner, "restore")):
        return True
    forgetful = copy.deepcopy(learner)
    forgetful.restore({})
    return not _unlike(learner.state(), forgetful.state())


def settings(plan, validation):
    """What must be the same for the numbers to be the same. The number of epochs need not be.

    Parameters
    ----------
    plan : Plan
        The run, before its first step.
    validation : array (n, D) or None
        The held-out data.

    Returns
    -------
    dict
        {name: words}.

    Raises
    ------
    TypeError
        If something cannot be told from another of its kind: a lambda, or an object whose repr is only an address.
    """
    return {**_choices(plan), "x": _digest(plan.x), "validation": _digest(validation)}


def save(path, plan, settings, history):
    """Write everything that the run needs to go on, in one step from the old file to the new one.

    Parameters
    ----------
    path : str or path
        The file.
    plan : Plan
        The run, its model and all that learns along with it.
    settings : dict
        What `settings` returned at the run's start.
    history : History
        What happened so far.

    Raises
    ------
    ValueError
        If something without a state of its own changed during the run: the file could not put it back.
    TypeError
        If a state is not made of arrays that a file takes without pickle.
    """
    states, now = _states(plan), _choices(plan)
    if changed := _differences(settings, {**settings, **now}, "at the start", "now", without=states):
        raise ValueError(
            f"a checkpoint cannot put back what changed during the run: {changed}. Leave it as it is, or train without "
            "a checkpoint"
        )
    arrays = {f"{owner}.{name}": array for owner, state in states.items() for name, array in state.items()}
    records, validations = (np.array(rows, "float64").reshape(-1, 6) for rows in (history.records, history.validation))
    words = {
        "settings": settings,
        "became": {owner: now[owner] for owner in states},
        "states": {owner: sorted(state) for owner, state in states.items()},
    }
    arrays |= {name: json.dumps(value) for name, value in words.items()}
    files.write_npz(path, {**plan.vae.arrays(), **arrays, "records": records, "validation": validations})


def resume(path, plan, settings):
    """Put the run back to where the file left it: model, optimiser, estimator.

    Parameters
    ----------
    path : str or path
        The file.
    plan : Plan
        The run, whose model, optimiser and estimator are changed in place.
    settings : dict
        What `settings` returns of it.

    Returns
    -------
    History
        That of the file, empty if there is none.

    Raises
    ------
    ValueError
        If the file belongs to other settings, data or another model (it says what differs), if it holds more epochs
        than asked for, or if it is damaged or no checkpoint. Then nothing is changed.
    """
    path, history = os.fspath(path), History()
    try:
        file = files.read_npz(path)
        there, became, names = (json.loads(str(file[name])) for name in ("settings", "became", "states"))
        history.records = [Record(int(step), int(epoch), *rest) for step, epoch, *rest in file["records"].tolist()]
        history.validation = [
            Validation(int(epoch), int(step), *rest) for epoch, step, *rest in file["validation"].tolist()
        ]
    except FileNotFoundError:
        return history
    except Exception as error:  # each kind of damage fails in its own way
        raise _damaged(path, error) from error
    if differences := _differences(there, settings, "there", "here"):
        raise ValueError(f"{path} belongs to another run: {differences}. Give another path, or the run's own settings")
    epochs = len(history.records) // plan.n_batches
    if epochs > plan.epochs:
        raise ValueError(f"{path} holds {epochs} epochs, more than the {plan.epochs} asked for")
    steps = [(1 + i, 1 + i // plan.n_batches) for i in range(epochs * plan.n_batches)]
    try:  # all of it, before anything is changed
        if not steps or [(record.step, record.epoch) for record in history.records] != steps:
            raise ValueError("its records are not those of whole epochs")
        theta = validate.array("theta", file["theta"], plan.vae.theta.shape, plan.vae.dtype)
        states = {owner: _state_of(owner, file, names) for owner in _states(plan)}
        for owner, state in states.items():
            _try(owner, getattr(plan, owner), state, became[owner], theta)
    except Exception as error:
        raise _damaged(path, error) from error
    plan.vae.theta = theta
    for owner, state in states.items():
        getattr(plan, owner).restore(state)
    return history


def _damaged(path, error):
    words = f"{error!r}" if isinstance(error, KeyError) else error  # of a KeyError, the name alone would be said
    return ValueError(f"{path} is damaged or is not a checkpoint of a training run: {words}; give another path")


def _state_of(owner, file, names):
    """{name: array}, if the file holds all that it says it does."""
    state = {name.removeprefix(f"{owner}."): array for name, array in file.items() if name.startswith(f"{owner}.")}
    if sorted(state) != names[owner]:
        missing, more = sorted(set(names[owner]) - set(state)), sorted(set(state) - set(names[owner]))
        raise ValueError(f"of the {owner}'s state it lacks {missing} and has {more} besides")
    return state


def _try(owner, learner, state, became, theta):
    """Raise unless a copy of what learns takes the state, gives the same back and can go on from it."""
    twin = copy.deepcopy(learner)
    twin.restore(state)
    if unlike := _unlike(state, twin.state()):
        raise ValueError(f"the {owner} does not give back {', '.join(unlike)} as it was given it")
    if _words(twin) != became:
        raise ValueError(f"the {owner} was {became}, and its state makes it {_words(twin)}")
    if owner == "optimizer":
        twin.step(theta.copy(), np.zeros_like(theta))


def _unlike(one, other):
    """The names of what is not the same, to the bit, in two dicts of arrays."""
    facts = [
        {
            name: (array.shape, array.dtype, array.tobytes())
            for name, array in zip(state, map(np.asarray, state.values()))
        }
        for state in (one, other)
    ]
    return [name for name in {**one, **other} if facts[0].get(name) != facts[1].get(name)]


def _states(plan):
    """{"optimizer": {name: array}, and "estimator" if it has a state}, if a file takes them without pickle."""
    states = {}
    for owner in ("optimizer", "estimator"):
        if hasattr(getattr(plan, owner), "state"):
            state = getattr(plan, owner).state()
            if not isinstance(state, dict):
                raise TypeError(f"the {owner}'s state() must return a dict of arrays, got {type(state).__name__}")
            states[owner] = {name: _plain(f"the {owner}'s state() under {name!r}", one) for name, one in state.items()}
    return states


def _plain(name, value):
    try:
        array = np.asarray(value)
    except ValueError:  # a ragged list
        array = np.empty(0, object)
    if array.dtype.hasobject:
        raise TypeError(
            f"{name} must be an array of numbers or words, which a file takes without pickle, "
            f"got {type(value).__name__}; split it into such arrays"
        )
    return array


# --- settings in words ------------------------------------------------------------------------------------


def _differences(one, other, first, second, without=()):
    """What differs between two {name: words}, in words; empty if nothing does."""
    differences = [
        f"{name} is {one.get(name)} {first} and {other.get(name)} {second}"
        for name in {**one, **other}
        if one.get(name) != other.get(name) and name not in without
    ]
    return "; ".join(differences)


def _choices(plan):
    """{name: words} of all but the data."""
    vae = plan.vae
    model = {name: repr(value) for name, value in vae.config.items()}
    model["the model's seed"] = model.pop("seed")
    model |= {"likelihood": _words(vae.likelihood), "latents": _words(vae.family), "prior": _words(vae.prior)}
    names = ("estimator", "objective", "optimizer", "noise", "n_samples", "batch_size", "seed")
    return model | {name: _words(getattr(plan, name)) for name in names}


def _words(value):
    """What is compared of a thing. Raises TypeError if that does not tell it from another of its kind."""
    if isinstance(value, functools.partial):
        parts = [value.func, *value.args]
        return f"partial({_listed([*map(_words, parts)], value.keywords)})"
    if isinstance(value, np.ndarray):
        return _digest(value)
    if inspect.ismethod(value):
        return f"{_words(value.__self__)}.{value.__name__}"
    if inspect.isfunction(value):
        return _function_words(value)
    if inspect.isclass(value) or inspect.isbuiltin(value):
        return value.__qualname__
    text, kind = repr(value), type(value).__name__
    if " at 0x" in text:
        if type(value).__repr__ is object.__repr__ and getattr(value, "__dict__", None) == {}:
            return kind
        raise TypeError(
            f"a checkpoint cannot tell {text} from another {kind}: give the class a __repr__ that tells its options"
        )
    own = hasattr(value, "__dict__") and not text.startswith(kind)  # a subclass with its parent's repr
    return f"{kind}: {text}" if own else text


def _function_words(function):
    """A function's name, and what it closes over, its decorators' facts apart."""
    if function.__name__ == "<lambda>":
        raise TypeError("a checkpoint cannot tell a lambda from another: give the function a name, with def")
    told = [function, *vars(function).values()]
    cells = zip(function.__code__.co_freevars, function.__closure__ or ())
    held = {name: cell.cell_contents for name, cell in cells}
    held = {name: value for name, value in held.items() if not any(value is one for one in told)}
    name = _words(function.__wrapped__) if hasattr(function, "__wrapped__") else function.__qualname__
    return f"{name}({_listed([], held)})" if held else name


def _listed(words, named):
    return ", ".join([*words, *(f"{name}={_words(value)}" for name, value in named.items())])


def _digest(x):
    """The shape, type and a fingerprint of data, or "none"."""
    if x is None:
        return "none"
    return f"{x.dtype} {x.shape} with digest {hashlib.sha256(np.ascontiguousarray(x).data).hexdigest()[:12]}"
