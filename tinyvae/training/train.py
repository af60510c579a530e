"""Training: a generator that yields a record a step, and `fit`, which runs it with a progress bar and checkpoints."""

import contextlib
import math
import sys
import time
import weakref
from dataclasses import dataclass

import numpy as np

from tinyvae import estimators, evaluate, validate
from tinyvae import noise as schemes
from tinyvae.kernels.data import all_finite
from tinyvae.likelihoods import takes_bits
from tinyvae.machine import files, team
from tinyvae.machine.arena import Arena, empty
from tinyvae.machine.bits import as_bits, batch_dtype
from tinyvae.machine.disk import gather
from tinyvae.models import NonFiniteLoss
from tinyvae.objectives import ELBO, check_objective
from tinyvae.optim import Adam
from tinyvae.training import checkpoints
from tinyvae.training.history import History, Record, Validation, is_elbo, say, summary

__all__ = ["Plan", "train", "fit"]

MODELS = weakref.WeakKeyDictionary()  # of an optimiser, or an estimator that learns: the model that it last trained
START = Record(step=0, epoch=0, loss=np.nan, reconstruction=np.nan, kl=np.nan, seconds=0.0)


@dataclass
class Plan:
    """What `train` is asked to do; it is checked as it is made. See `train` for the fields, whose defaults stand here.

    Attributes
    ----------
    vae : VAE
        The model, trained in place.
    x : array (n, D)
        What is trained on: floats that hold only 0 and 1 become bits, which a first layer need not multiply, if the
        likelihood takes them.
    estimator : callable
        A name becomes the estimator that it names.
    objective : ELBO, ImportanceWeighted or another objective
        What is minimised.
    optimizer : Adam, SGD or another optimiser
        None becomes Adam(1e-3).
    n_samples : int
        Samples a data point, L.
    epochs : int
        Passes over x.
    batch_size : int
        Data points a step, M.
    seed : int
        Of the minibatches and the noise.
    noise : callable
        A name becomes the scheme that it names.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit.
    """

    vae: object
    x: np.ndarray
    estimator: object = "reparameterization"
    objective: object = ELBO()
    optimizer: object = None
    n_samples: int = 1
    epochs: int = 10
    batch_size: int = 100
    seed: int = 0
    noise: object = "independent"

    def __post_init__(self):
        vae, self.given = self.vae, np.asanyarray(self.x)
        self.take()
        self.estimator = estimators.resolve(self.estimator)
        check_objective(self.objective)
        self.optimizer = Adam(1e-3) if self.optimizer is None else self.optimizer
        if isinstance(self.optimizer, type) or not hasattr(self.optimizer, "step"):
            raise TypeError(f"optimizer must be an optimiser such as tv.Adam(1e-3), got {self.optimizer!r}")
        for name, least in (("n_samples", 1), ("batch_size", 1), ("seed", 0), ("epochs", 0)):
            setattr(self, name, validate.integer(name, getattr(self, name), least=least))
        self.noise = schemes.resolve(self.noise)
        schemes.require_compatible(self.noise, self.estimator, self.objective)
        eps = vae.noise(np.random.default_rng(0), self.n_samples, 1, self.noise)
        validate.array("noise's eps", eps, (self.n_samples, *vae.noise_shape(1)), vae.dtype)

    def take(self):
        """Read the data as they are now. Raises ValueError or TypeError if they do not fit (any more)."""
        x = self.vae.check_data(self.given)
        bits = takes_bits(self.vae.likelihood)
        self.x = as_bits(x) if bits else x
        self.pixels = batch_dtype(self.x, self.vae.dtype, bits)

    @property
    def n_batches(self):
        """Minibatches an epoch; the last may be smaller."""
        return -(-len(self.x) // self.batch_size)


def train(
    vae,
    x,
    estimator=Plan.estimator,
    objective=Plan.objective,
    optimizer=Plan.optimizer,
    n_samples=Plan.n_samples,
    epochs=Plan.epochs,
    batch_size=Plan.batch_size,
    seed=Plan.seed,
    noise=Plan.noise,
):
    """Train `vae` in place on `x`, yielding a Record a step.

    Parameters
    ----------
    vae : VAE
        The model.
    x : array (n, D)
        Data that the likelihood lets pass, see `likelihoods.checked`; for the built-in one floats in [0, 1], or
        bool / uint8 holding 0 and 1, which stay as they are and are converted a minibatch at a time. Each epoch begins
        by reading them: what is changed in the array between two epochs counts from the next on.
    estimator : str or callable
        A name, or an estimator, whose `update()`, if it has one, is called after each step.
    objective : ELBO or ImportanceWeighted
        What is minimised.
    optimizer : optimiser, optional
        Adam(1e-3) if None.
    n_samples : int
        L, samples a data point.
    epochs : int
        Passes over x.
    batch_size : int
        M, data points a step; the last minibatch of an epoch may be smaller.
    seed : int
        Fixes the minibatches and the noise, the same for every estimator, a stream for each epoch.
    noise : str or callable
        A scheme or its name, see `tv.noise`.

    Yields
    ------
    Record
        One a step.

    Raises
    ------
    ValueError or TypeError
        At once, for input that does not fit (data also at the start of an epoch), and, at once or at the first step,
        for an optimiser, or an estimator that learns, which still has what it learnt with another model.
    NonFiniteLoss
        At the first step whose loss is not finite, naming the step and the term; and at the last step of an epoch if it
        left parameters that are not finite.
    """
    plan = Plan(vae, x, estimator, objective, optimizer, n_samples, epochs, batch_size, seed, noise)
    _check_owner(plan)
    return _steps(plan, START)


def _steps(plan, last):
    """Yield the records of the epochs after the one of the Record `last`."""
    if last is START:
        _check_owner(plan)  # again: it may have learnt since the generator was made
    with team.ready():
        yield from _epochs(plan, last)


def _epochs(plan, last):
    arena, grads = Arena(), empty(plan.vae.theta.shape, plan.vae.dtype)
    vae, step, seconds = plan.vae.using(arena), last.step, last.seconds
    for _, learner in _learners(plan):
        with contextlib.suppress(TypeError):  # one that takes no weak reference is nobody's
            MODELS[learner] = weakref.ref(plan.vae)
    for epoch in range(last.epoch + 1, plan.epochs + 1):
        # A stream for each epoch: a run that is taken up again needs no generator's state.
        order_rng, noise_rng, estimator_rng = map(
            np.random.default_rng, np.random.SeedSequence([plan.seed, epoch]).spawn(3)
        )
        plan.take()
        x, pixels = plan.x, plan.pixels
        order = order_rng.permutation(len(x))
        for start in range(0, len(x), plan.batch_size):
            began = time.perf_counter()
            rows = order[start : start + plan.batch_size]
            arena.rewind()
            batch = arena((len(rows), vae.n_features), pixels)
            gather(x, rows, batch)
            eps = vae.noise(noise_rng, plan.n_samples, len(rows), plan.noise)
            step += 1
            try:
                with schemes.in_use(plan.noise):
                    losses = vae.step(batch, eps, plan.estimator, plan.objective, estimator_rng, grads)
            except NonFiniteLoss as error:
                raise NonFiniteLoss(
                    f"step {step}: {error}; try a smaller learning rate, or another estimator or more samples"
                ) from None
            if not math.isfinite(losses.loss):
                raise NonFiniteLoss(
                    f"step {step}: the loss became {losses.loss}, though reconstruction and KL are finite; "
                    "look at the estimator"
                )
            plan.optimizer.step(vae.theta, grads)
            if estimators.learns(plan.estimator):
                _update(plan.estimator, step)
            seconds += time.perf_counter() - began
            # Once an epoch: a look at all of theta costs more than a hundredth of a step.
            if start + plan.batch_size >= len(x) and not all_finite(vae.theta):
                raise NonFiniteLoss(
                    f"step {step}: the update left parameters that are not finite, though each step's loss was: a "
                    "gradient overflowed; try a smaller learning rate, dtype='float64', or look at the estimator"
                )
            yield Record(step, epoch, *losses, seconds)


def _learners(plan):
    """(name, learner) of all that learns along with the model."""
    yield "optimizer", plan.optimizer
    if estimators.learns(plan.estimator):
        yield "estimator", plan.estimator


def _check_owner(plan):
    """Raise ValueError if something that learns along still has what it learnt with another model."""
    for name, learner in _learners(plan):
        try:
            owner = MODELS.get(learner)
        except TypeError:  # it takes no weak reference
            continue
        if owner is not None and owner() is not plan.vae and not checkpoints.is_fresh(learner):
            raise ValueError(
                f"{name} {learner!r} has learnt with another model, and would go on from there: make a new one for "
                f"each model, or give copy.deepcopy({name}) to go on from there on purpose"
            )


def _update(estimator, step):
    try:
        estimator.update()
    except ArithmeticError as error:
        raise NonFiniteLoss(f"step {step}: {error}; try a smaller learning rate") from None


def fit(vae, x, validation=None, epochs=Plan.epochs, checkpoint=None, after_epoch=None, history=None, **options):
    """Run `train` to its end with a progress bar, validating after each epoch.

    Where the output is not a terminal, a plain line an epoch stands in for the bar. Ctrl-C ends the run; the model
    keeps what it learnt so far, as it does where an error ends it.

    Parameters
    ----------
    vae : VAE
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
        included, that a checkpoint does not put back; if `history` is not empty; and for input that does not fit.
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
    n_samples, batch_size and seed; fingerprints of x and validation. Functions are compared by name, code, defaults,
    attributes and what they close over (not by global names; the code of another Python may be another), tinyvae's own
    by name; objects by class and attributes, what pickle would keep of them; classes that can be imported by name,
    others by their members; the optimiser, and an estimator that learns, by class and `repr`. What cannot be compared,
    such as an open file, is refused. `after_epoch` is not compared.
    """
    from tqdm import tqdm

    if strange := options.keys() - Plan.__dataclass_fields__.keys():
        known = ", ".join(Plan.__dataclass_fields__)
        raise TypeError(f"fit() got an unexpected keyword argument {min(strange)!r}; train's are {known}")
    plan = Plan(vae, x, epochs=epochs, **options)
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
        _check_owner(plan)
    last = history.records[-1] if history.records else START
    if checkpoint is not None and last.epoch < plan.epochs:
        files.require_writable(checkpoint, 3 * vae.theta.nbytes)  # beside the model its two moments, Adam's
    n_batches = plan.n_batches
    terminal = sys.stderr is not None and sys.stderr.isatty()
    with tqdm(total=plan.epochs * n_batches, initial=last.step, unit="step", disable=not terminal) as bar:
        try:
            for record in _steps(plan, last):
                history.records.append(record)
                bar.update()
                if record.step % n_batches:
                    continue
                line = summary(history.records[-n_batches:], plan.objective)
                if validation is not None:
                    bound = evaluate.bound(vae, validation)
                    history.validation.append(Validation(record.epoch, record.step, record.seconds, *bound))
                    what = "validation" if is_elbo(plan.objective) else "negative ELBO on validation"
                    line += f", {what} {bound.loss:.2f}"
                if terminal:
                    bar.set_postfix_str(line)
                else:
                    say(f"epoch {record.epoch}/{plan.epochs}: {line}")
                if after_epoch is not None:
                    after_epoch(record.epoch)
                if checkpoint is not None:
                    checkpoints.save(checkpoint, plan, start, history)
        except KeyboardInterrupt:
            history.interrupted = True
    return history
