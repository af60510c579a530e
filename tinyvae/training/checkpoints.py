"""A training run in a file, so that one that was stopped goes on as if it had not been: the same numbers, bit for bit.

The file is a model file (`VAE.load` reads it) that also holds the run: the settings in words, the optimiser's
and the estimator's state, and the history. No random generator's state: each epoch has a stream of its own.
What is compared before a run goes on stands in the notes of `fit`.
"""

import copy
import json
import os
from typing import NamedTuple

import numpy as np

from tinyvae import validate
from tinyvae.estimators import learns
from tinyvae.machine import files
from tinyvae.training.history import History, Record, Validation
from tinyvae.training.identity import fingerprint, full_repr, identity, words

__all__ = ["Start", "is_fresh", "start", "save", "resume"]


class Start(NamedTuple):
    """A run before its first step.

    Attributes
    ----------
    settings : dict
        What must be the same for the numbers to be the same, {name: [words, digest]}: the words for a message, the
        digest to compare. The number of epochs need not be.
    learners : dict
        Copies of all that learns along with the model, {"optimizer" or "estimator": copy}.
    """

    settings: dict
    learners: dict


def is_fresh(learner):
    """Whether there is nothing that it could forget.

    Parameters
    ----------
    learner : optimiser, or estimator that learns

    Returns
    -------
    bool
        True of one that does not tell, having no `state()` and `restore(state)`; False of one that cannot be tried.
    """
    if not (hasattr(learner, "state") and hasattr(learner, "restore")):
        return True
    try:
        forgetful = copy.deepcopy(learner)
        forgetful.restore({})
        return not _unlike(learner.state(), forgetful.state())
    except Exception:  # a reader's own, which cannot be copied, or knows no fresh start
        return False


def start(plan, validation):
    """What a checkpoint must know of a run before its first step.

    Parameters
    ----------
    plan : Plan
        The run.
    validation : array (n, D) or None
        The held-out data.

    Returns
    -------
    Start

    Raises
    ------
    TypeError
        If something cannot be told from another of its kind; if the optimiser, or an estimator that learns, lacks
        `state()` or `restore(state)` or a repr of its own, or cannot be copied; or if its state is not made of arrays
        that a file takes without pickle.
    """
    keeps = learns(plan.estimator) or hasattr(plan.estimator, "state")
    learners = {}
    for name, learner in {"optimizer": plan.optimizer, **({"estimator": plan.estimator} if keeps else {})}.items():
        if not (hasattr(learner, "state") and hasattr(learner, "restore")):
            raise TypeError(f"a checkpoint needs an {name} with state() and restore(state), got {learner!r}")
        if type(learner).__repr__ is object.__repr__ or " at 0x" in repr(learner):
            raise TypeError(
                f"a checkpoint cannot tell {learner!r} from another {type(learner).__name__}: give the class a "
                "__repr__ that tells its options"
            )
        try:
            learners[name] = copy.deepcopy(learner)
        except Exception as error:
            raise TypeError(
                f"a checkpoint tries the {name}'s state on a copy, and {learner!r} cannot be copied: {error}; give the "
                "class a __deepcopy__, or leave out what cannot be copied"
            ) from error
    _states(plan, learners)
    return Start(_choices(plan, learners) | _told_data(x=plan.x, validation=validation), learners)


def save(path, plan, start, history):
    """Write everything that the run needs to go on, in one step from the old file to the new one.

    Parameters
    ----------
    path : str or path
        The file.
    plan : Plan
        The run, its model and all that learns along with it.
    start : Start
        What `start` returned before the first step.
    history : History
        What happened so far.

    Raises
    ------
    ValueError
        If the file could not put the run back: something without a state of its own changed, or what learns does not
        take back what its `state()` gave.
    TypeError
        If a state is not made of arrays that a file takes without pickle.
    """
    plan.take()
    states, now = _states(plan, start.learners), _choices(plan, start.learners) | _told_data(x=plan.x)
    if changed := _differences(start.settings, {**start.settings, **now}, "at the start", "now", without=states):
        raise ValueError(
            f"a checkpoint cannot put back what changed during the run: {changed}. Leave it as it is, give it "
            "state() and restore(state), or train without a checkpoint"
        )
    for owner, state in states.items():
        twin = _restored(owner, start.learners[owner], state)
        if changed := _differences({owner: now[owner]}, {owner: _told_learner(twin)}, "now", "after restore(state())"):
            raise ValueError(f"a checkpoint cannot put back what changed during the run: {changed}")
    arrays = {f"{owner}.{name}": array for owner, state in states.items() for name, array in state.items()}
    records, validations = (np.array(rows, "float64").reshape(-1, 6) for rows in (history.records, history.validation))
    best = {} if plan.best is None else {"best": {"theta": plan.best}}  # beside the last epoch's: those of the best
    arrays |= {f"best.{name}": array for one in best.values() for name, array in one.items()}
    became = {owner: now[owner] for owner in states}
    texts = {"settings": start.settings, "became": became, "states": _digests(states | best)}
    arrays |= {name: json.dumps(value) for name, value in texts.items()}
    files.write_npz(path, {**plan.vae.arrays(), **arrays, "records": records, "validation": validations})


def resume(path, plan, start):
    """Put the run back to where the file left it: model, optimiser, estimator.

    Parameters
    ----------
    path : str or path
        The file.
    plan : Plan
        The run, whose model, optimiser and estimator are changed in place.
    start : Start
        What `start` returns of it.

    Returns
    -------
    History
        That of the file, empty if there is none.

    Raises
    ------
    ValueError
        If the file belongs to other settings, data or another model (it says what differs), if it holds more epochs
        than asked for, if it is damaged or no checkpoint, or if what learns does not take its state. Then nothing is
        changed.
    """
    path, history = os.fspath(path), History()
    try:
        file = files.read_npz(path)
        model = {"config", "theta"} <= set(file) and "settings" not in file
        there, became, digests = ({}, {}, {}) if model else (_read(file, n) for n in ("settings", "became", "states"))
    except FileNotFoundError:
        return history
    except Exception as error:  # each kind of damage fails in its own way
        raise _damaged(path, error) from error
    if model:
        raise ValueError(f"{path} is a model, not a checkpoint of a training run: give another path")
    if differences := _differences(there, start.settings, "there", "here"):
        raise ValueError(f"{path} belongs to another run: {differences}. Give another path, or the run's own settings")
    try:  # all of it, before anything is changed
        history.records = [Record(int(step), int(epoch), *rest) for step, epoch, *rest in file["records"].tolist()]
        history.validation = [
            Validation(int(epoch), int(step), *rest) for epoch, step, *rest in file["validation"].tolist()
        ]
        epochs = len(history.records) // plan.n_batches
        steps = [(1 + i, 1 + i // plan.n_batches) for i in range(epochs * plan.n_batches)]
        if not steps or [(record.step, record.epoch) for record in history.records] != steps:
            raise ValueError("its records are not those of whole epochs")
        theta = validate.array("theta", file["theta"], plan.vae.theta.shape, plan.vae.dtype)
        states = {owner: _state_of(owner, file) for owner in start.learners}
        best = _state_of("best", file)
        if differences := _differences(digests, _digests(states | {"best": best}), "as it was saved", "in the file"):
            raise ValueError(differences)
    except Exception as error:
        raise _damaged(path, error) from error
    if epochs > plan.epochs:
        raise ValueError(f"{path} holds {epochs} epochs, more than the {plan.epochs} asked for")
    for owner, state in states.items():
        try:
            twin = {owner: _told_learner(_restored(owner, start.learners[owner], state))}
            if differences := _differences({owner: became.get(owner)}, twin, "there", "here"):
                raise ValueError(differences)
        except ValueError as error:
            raise ValueError(f"{path} is whole, but this {owner} cannot go on from it: {error}") from error
    plan.vae.theta, plan.best = theta, best.get("theta")
    for owner, state in states.items():
        getattr(plan, owner).restore(state)
    return history


def _damaged(path, error):
    text = f"it has no {error}" if isinstance(error, KeyError) else error
    return ValueError(f"{path} is damaged or is not a checkpoint of a training run: {text}; give another path")


def _read(file, name):
    """{name: [words, digest]} out of a file."""
    facts = json.loads(str(file[name]))
    if not isinstance(facts, dict) or not all(isinstance(one, list) and len(one) == 2 for one in facts.values()):
        raise ValueError(
            f"its {name} must be names with words and a digest each, as this tinyvae writes them, got "
            f"{str(file[name])[:60]}"
        )
    return facts


# --- states -----------------------------------------------------------------------------------------------


def _restored(owner, learner, state):
    """A copy of what learns, which took the state; raises ValueError unless it gives the same values back."""
    twin = copy.deepcopy(learner)
    try:
        twin.restore(state)
        unlike = _unlike(state, _state("its copy", twin))
    except Exception as error:
        raise ValueError(f"the {owner}'s restore(state) does not take what its state() gave: {error!r}") from error
    if unlike:
        raise ValueError(f"the {owner}'s restore(state) does not give back {', '.join(unlike)} as state() gave it")
    return twin


def _unlike(one, other):
    """The names of what is not the same, to the bit, in two dicts of arrays; of a number, its value counts."""

    def fact(array):
        array = np.asarray(array)
        if array.ndim:
            return array.shape, array.dtype, array.tobytes()
        return repr(float(array) if array.dtype.kind in "biuf" else array.item())

    facts = [{name: fact(array) for name, array in state.items()} for state in (one, other)]
    return [name for name in {**one, **other} if facts[0].get(name) != facts[1].get(name)]


def _states(plan, owners):
    return {owner: _state(owner, getattr(plan, owner)) for owner in owners}


def _state(owner, learner):
    """{name: array}, if a file takes them without pickle."""
    state = learner.state()
    if not isinstance(state, dict) or not all(type(name) is str for name in state):
        got = f"with the keys {list(state)}" if isinstance(state, dict) else type(state).__name__
        raise TypeError(f"the {owner}'s state() must return a dict of arrays by name, words that is, got one {got}")
    return {name: _plain(f"the {owner}'s state() under {name!r}", one) for name, one in state.items()}


def _state_of(owner, file):
    return {name.removeprefix(f"{owner}."): array for name, array in file.items() if name.startswith(f"{owner}.")}


def _digests(states):
    """{"the optimizer's m": its fingerprint, twice, for words and as a digest}."""
    return {
        f"the {owner}'s {name}": [fingerprint(array)] * 2
        for owner, one in states.items()
        for name, array in one.items()
    }


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
    """What differs between two {name: [words, digest]}, in words; empty if nothing does."""
    differences = []
    for name in {**one, **other}:
        (words_1, digest_1), (words_2, digest_2) = (side.get(name) or ["none", None] for side in (one, other))
        if digest_1 != digest_2 and name not in without:
            if words_1 == words_2:  # the difference is in what the words leave out
                words_1 += f" with digest {digest_1} (of all that it holds: attributes, defaults, closures, code)"
                words_2 += f" with digest {digest_2}"
            differences.append(f"{name} is {words_1} {first} and {words_2} {second}")
    return "; ".join(differences)


def _choices(plan, learners):
    """{name: [words, digest]} of all but the data."""
    vae = plan.vae
    model = {name: repr(value) for name, value in vae.config.items()}
    model["the model's seed"] = model.pop("seed")
    model = {name: [text, text] for name, text in model.items()}
    choices = {"likelihood": vae.likelihood, "latents": getattr(vae, "family", None), "prior": vae.prior}
    choices |= {name: getattr(plan, name) for name in ("estimator", "objective", "optimizer", "noise")}
    choices |= {name: getattr(plan, name) for name in ("n_samples", "batch_size", "seed")}
    choices |= {name: getattr(plan, name) for name in ("clip_norm", "patience") if getattr(plan, name) is not None}
    # What the file puts back may be held by other things, too.
    learnt = [one for one in getattr(vae.prior, "__dict__", {}).values() if _is_view(one, vae.theta)]
    networks = (getattr(vae, name, vae) for name in ("encoder", "decoder"))
    known = {id(one): "the model" for one in (vae, *networks, vae.theta, *learnt)}
    known |= {id(choices[owner]): owner for owner in learners}
    return model | {
        name: _told_learner(value) if name in learners else [words(value), identity(value, known)]
        for name, value in choices.items()
    }


def _is_view(value, theta):
    """Whether it is a view into theta: what a prior has learnt, which the file puts back with the model."""
    return isinstance(value, np.ndarray) and np.may_share_memory(value, theta)


def _told_data(**data):
    """{name: its fingerprint, twice, for words and as a digest}."""
    return {name: [fingerprint(array)] * 2 for name, array in data.items()}


def _told_learner(learner):
    """[words, digest] of what learns, by class, repr and schedule: its other attributes hold what it learnt."""
    schedules = filter(callable, (getattr(learner, name, None) for name in ("rate", "temperature")))
    told = (type(learner), full_repr(learner), *schedules)
    return [words(learner), identity(told)]
