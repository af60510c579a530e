"""`fit`: a whole training run, with a progress bar, validation, early stopping and checkpoints."""

import math

from tinyvae import likelihoods
from tinyvae.machine import files, progress
from tinyvae.training import checkpoints
from tinyvae.training.history import (
    COLLAPSED,
    DISCRETE_STEPS,
    FREE_BITS,
    STEPS,
    History,
    Validation,
    collapsed,
    is_elbo,
    say,
    summary,
)
from tinyvae.training.plan import Plan
from tinyvae.training.train import START, check_owner, steps

__all__ = ["fit"]


def fit(
    vae,
    x,
    validation=None,
    epochs=Plan.epochs,
    checkpoint=None,
    after_epoch=None,
    history=None,
    patience=Plan.patience,
    **options,
):
    """Run `train` to its end with a progress bar, validating after each epoch.

    Where the output is not a terminal, a plain line an epoch stands in for the bar. Ctrl-C ends the run; the model
    keeps what it learnt so far, as it does where an error ends it. Where the KL collapses, a line says so, once.

    Parameters
    ----------
    vae : VAE, TwoLayerVAE, Autoencoder, VQVAE or AutoregressivePrior
        The model, trained in place.
    x : array (n, D)
        The data, see `train`.
    validation : array (n, D), optional
        Held-out data.
    epochs : int
        Passes over x.
    checkpoint : str or path, optional
        A file, written after each epoch (and its `after_epoch`) with all that the run is made of. If it is there when
        `fit` starts, the run goes on after the last epoch in it (a line says so), and ends with the numbers, bit for
        bit, of one that was never stopped. More epochs may be asked for than at first. See the notes for what is
        compared.
    after_epoch : callable, optional
        Called with an epoch's number when it is over. It may change the optimiser's rate, which a checkpoint keeps.
    history : History, optional
        An empty one to write into, for whoever wants it even where an error ends the run; a new one if None.
    patience : int, optional
        Early stopping: the run ends after so many epochs without a lower loss on `validation`, and whatever ends it,
        the model gets the parameters of its best epoch. A checkpoint holds those of its last epoch and the best ones
        beside them, and goes on from the last. None trains to the end and keeps the last.
    **options
        The other options are `train`'s.

    Returns
    -------
    History
        Of the whole run, the epochs in the checkpoint included.

    Raises
    ------
    ValueError
        If the checkpoint belongs to other settings, data or another model, saying what differs, if it is damaged, or if
        it holds more epochs than asked for (then nothing is changed); if something changes during the run, the data
        included, that a checkpoint does not put back; if `history` is not empty; if there is patience and no
        validation; and for input that does not fit.
    TypeError
        If a checkpoint is asked for and the optimiser or estimator cannot be saved, or a setting not told from another;
        and for input that does not fit.
    NonFiniteLoss
        As in `train`.
    OSError
        If the checkpoint cannot be written: before the first step, where that can be known.

    Notes
    -----
    Whether a checkpoint belongs to this run is found by comparing, as they are when `fit` starts: the model's
    arguments, its seed among them (not the weights that it came with); the estimator, objective, optimiser and noise,
    n_samples, batch_size and seed, clip_norm and patience; fingerprints of x and validation. Functions are compared by
    name, code, defaults, attributes and what they close over (not by global names; the code of another Python may be
    another), tinyvae's own by name (schedules, too, of the rate and of beta); objects by class and attributes, what
    pickle would keep of them; classes that can be imported by name, others by their members; the optimiser, and an
    estimator that learns, by class and `repr`. What cannot be compared, such as an open file, is refused. `after_epoch`
    is not compared.
    """
    if strange := options.keys() - Plan.__dataclass_fields__.keys():
        known = ", ".join(Plan.__dataclass_fields__)
        raise TypeError(f"fit() got an unexpected keyword argument {min(strange)!r}; train's are {known}")
    plan = Plan(vae, x, epochs=epochs, patience=patience, **options)
    if validation is None and patience is not None:
        raise ValueError("patience waits for a better validation: give fit(..., validation=x_valid), or leave it out")
    if validation is not None:
        validation = vae.check_data(validation, "validation")
    history = History() if history is None else history
    if history.records or history.validation:
        raise ValueError(f"history must be an empty tv.History(), got one of {len(history.records)} steps")
    if checkpoint is not None:
        start = checkpoints.start(plan, validation)  # before anything changes
        so_far = checkpoints.resume(checkpoint, plan, start)
        history.records, history.validation = so_far.records, so_far.validation
        if history.records:
            say(f"Going on from {checkpoint}")
    if not history.records:  # else what it learnt is that run's
        check_owner(plan)
    last = history.records[-1] if history.records else START
    if checkpoint is not None and last.epoch < plan.epochs:
        copies = 3 + (plan.patience is not None)  # the model's, Adam's two moments, and the best
        files.require_writable(checkpoint, copies * vae.theta.nbytes)
    n_batches, warned = plan.n_batches, not plan.draws  # without a KL nothing collapses
    term = likelihoods.term(plan.x, vae.likelihood)
    stalled = STEPS if getattr(vae, "n_states", math.inf) == math.inf else DISCRETE_STEPS
    with progress.bar(plan.epochs * n_batches, "step", initial=last.step) as bar:
        try:
            for record in () if _is_over(plan, history) else steps(plan, last):
                history.records.append(record)
                bar.update()
                if record.step % n_batches:
                    continue
                line = summary(history.records[-n_batches:], plan.objective, term)
                if validation is not None:
                    held_out = vae.held_out(validation)
                    history.validation.append(Validation(record.epoch, record.step, record.seconds, *held_out))
                    what = "validation" if is_elbo(plan.objective) else "negative ELBO on validation"
                    line += f", {what} {held_out.loss:.2f}"
                    if plan.patience and history.best is history.validation[-1]:
                        plan.best = vae.theta.copy()
                if hasattr(vae, "status"):
                    line += f", {vae.status()}"
                if not bar.disable:
                    bar.set_postfix_str(line)
                else:
                    say(f"epoch {record.epoch}/{plan.epochs}: {line}")
                if not warned and (kl := collapsed(history.records, n_batches, stalled)) is not None:
                    warned = True
                    bar.clear()
                    say(COLLAPSED.format(kl) + FREE_BITS * (not hasattr(vae, "check_objective")))
                if after_epoch is not None:
                    after_epoch(record.epoch)
                if checkpoint is not None:
                    checkpoints.save(checkpoint, plan, start, history)
                if _is_over(plan, history):
                    break
        except KeyboardInterrupt:
            history.interrupted = True
        finally:
            if plan.best is not None:
                vae.theta = plan.best
    if history.records and _is_over(plan, history):
        history.stopped = True
        say(f"No better validation for {plan.patience} epochs: the parameters of epoch {history.best.epoch} are kept")
    return history


def _is_over(plan, history):
    """Whether early stopping ends the run here."""
    if not (plan.patience and history.validation):
        return False
    return history.validation[-1].epoch - history.best.epoch >= plan.patience
