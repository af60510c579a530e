"""Training for an experiment: a run of any length, which a kill at any instant sets back by an epoch at most."""

import json

import numpy as np

from tinyvae.estimators import learns
from tinyvae.machine import files, progress
from tinyvae.training.history import Record, say
from tinyvae.training.plan import Plan
from tinyvae.training.train import START, steps

__all__ = ["train"]


def train(vae, x, checkpoint, optimizer, epochs, measure=lambda epoch: {}, **options):
    """Train `vae` in place; a run that was killed goes on after its last whole epoch, to the same numbers.

    In place of `fit` where runs are long: of each step nothing is kept but its epoch's mean loss, so that a checkpoint
    of a million steps is no larger than that of one. Whether it belongs to this run is for the caller to know; the
    experiments' folder holds their settings.

    Parameters
    ----------
    vae : VAE
        Fresh, made by the same arguments each time.
    x : array (n, D)
        The data.
    checkpoint : path or None
        The file, written after each epoch; a model file that also holds the run. None keeps nothing.
    optimizer : Adam or another optimiser with `state` and `restore`
        Fresh.
    epochs : int
        Passes over x.
    measure : function
        From an epoch's number, 0 before the first, to a dict of numbers, for the curve. It must leave all as it is.
    **options
        The others of `tv.train`.

    Returns
    -------
    list of dict
        The curve, an entry for epoch 0 and for each epoch that `measure` gives something for: "epoch", "step",
        "seconds" spent in steps, "loss", the mean of all steps since the last entry, and what `measure` gave.

    Raises
    ------
    ValueError
        If the checkpoint is damaged; and as in `tv.train`.
    TypeError
        If an estimator that learns has no `state()` and `restore(state)`, with which a checkpoint keeps it; and as in
        `tv.train`.
    KeyboardInterrupt
        By Ctrl-C.
    """
    plan = Plan(vae, x, optimizer=optimizer, epochs=epochs, **options)
    for name, learner in _learners(plan).items():
        if not (hasattr(learner, "state") and hasattr(learner, "restore")):
            raise TypeError(f"a checkpoint needs an {name} with state() and restore(state), got {learner!r}")
    last, curve, losses = _resumed(checkpoint, plan)
    if last is START and (first := measure(0)):
        curve.append({"epoch": 0, "step": 0, "seconds": 0.0, "loss": None, **first})
    with progress.bar(plan.epochs, "epoch", initial=last.epoch) as bar:
        for record in steps(plan, last):
            losses.append(record.loss)
            if record.step % plan.n_batches:
                continue
            if found := measure(record.epoch):
                row = {name: getattr(record, name) for name in ("epoch", "step", "seconds")}
                curve.append(row | {"loss": float(np.mean(losses)), **found})
                losses = []
                line = ", ".join(f"{key} {value:.5g}" for key, value in found.items())
                bar.set_postfix_str(line)
                if bar.disable:
                    say(f"epoch {record.epoch}/{plan.epochs}: loss {curve[-1]['loss']:.5g}, {line}")
            bar.update()
            if checkpoint is not None:
                _save(checkpoint, plan, record, curve, losses)
    return curve


def _learners(plan):
    """{"optimizer" or "estimator": it}, all that learns along with the model."""
    return {"optimizer": plan.optimizer, **({"estimator": plan.estimator} if learns(plan.estimator) else {})}


def _save(path, plan, record, curve, losses):
    states = {owner: learner.state() for owner, learner in _learners(plan).items()}
    state = {f"{owner}.{name}": one for owner, state in states.items() for name, one in state.items()}
    run = {"record": record, "curve": json.dumps(curve), "losses": np.array(losses, "float64")}
    files.write_npz(path, {**plan.vae.arrays(), **state, **run})


def _resumed(path, plan):
    """(the last record, the curve, the losses since its last entry); the model and all that learns are put back."""
    if path is None:
        return START, [], []
    try:
        file = files.read_npz(path)
        step, epoch, *rest = file["record"].tolist()
        curve, losses = json.loads(str(file["curve"])), file["losses"].tolist()
        if epoch > plan.epochs or file["theta"].shape != plan.vae.theta.shape:
            raise ValueError("it belongs to another run")
        for owner, learner in _learners(plan).items():
            start = f"{owner}."
            learner.restore({name.removeprefix(start): file[name] for name in file if name.startswith(start)})
    except FileNotFoundError:
        return START, [], []
    except Exception as error:  # each kind of damage fails in its own way
        raise ValueError(f"{path} is damaged: {error}; remove it, and its part begins anew") from error
    plan.vae.theta = file["theta"]
    return Record(int(step), int(epoch), *rest), curve, losses
