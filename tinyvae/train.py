"""Training: a generator that yields a record a step, and `fit`, which runs it with a progress bar and checkpoints."""

import math
import sys
import time
from typing import NamedTuple

import numpy as np

from tinyvae import checkpoints, estimators, evaluate, validate, workers
from tinyvae import noise as schemes
from tinyvae.arena import Arena
from tinyvae.distributions import LIKELIHOODS
from tinyvae.history import History, Record, Validation
from tinyvae.kernels.data import gather
from tinyvae.objectives import ELBO, check_objective
from tinyvae.optim import Adam
from tinyvae.vae import NonFiniteLoss


class Run(NamedTuple):
    """What `train` was given, checked."""

    vae: object
    x: np.ndarray
    estimator: object
    objective: object
    optimizer: object
    n_samples: int
    batch_size: int
    seed: int
    noise: object


START = Record(step=0, epoch=0, loss=np.nan, reconstruction=np.nan, kl=np.nan, seconds=0.0)


def train(vae, x, estimator="reparameterization", objective=ELBO(), optimizer=None, n_samples=1, epochs=10, batch_size=100, seed=0, noise="independent"):
    """Train `vae` in place on `x`, yielding a Record a step.

    x: (n, D), float in [0, 1], or bool / uint8 holding 0 and 1, which stay as they are and are converted
    a minibatch at a time. estimator: a name or a callable, whose `update()`, if it has one, is called after each
    step; objective: an ELBO or ImportanceWeighted; optimizer: Adam(1e-3) if None; n_samples: L, samples a data
    point; batch_size: M; the last minibatch of an epoch may be smaller. noise: a scheme or its name, see `tv.noise`.
    The seed fixes the minibatches and the noise, the same for every estimator, a stream for each epoch.

    Raises ValueError or TypeError at once for input that does not fit; NonFiniteLoss at the first step
    whose loss is not finite, naming the step and the term.
    """
    run = _checked(vae, x, estimator, objective, optimizer, n_samples, batch_size, seed, noise)
    return _steps(run, validate.integer("epochs", epochs, least=0))


def _checked(vae, x, estimator="reparameterization", objective=ELBO(), optimizer=None, n_samples=1, batch_size=100, seed=0, noise="independent"):
    """The arguments of `train` as a Run."""
    x = LIKELIHOODS[vae.likelihood].check("x", x, vae.n_features)
    estimator = estimators.resolve(estimator)
    check_objective(objective)
    optimizer = Adam(1e-3) if optimizer is None else optimizer
    if isinstance(optimizer, type) or not hasattr(optimizer, "step"):
        raise TypeError(f"optimizer must be an optimiser such as tv.Adam(1e-3), got {optimizer!r}")
    n_samples = validate.integer("n_samples", n_samples, least=1)
    batch_size = validate.integer("batch_size", batch_size, least=1)
    seed = validate.integer("seed", seed, least=0)
    scheme = schemes.resolve(noise)
    schemes.require_compatible(scheme, estimator, objective)
    validate.array("noise's eps", scheme(np.random.default_rng(0), n_samples, 1, vae.n_latents, vae.dtype), (n_samples, 1, vae.n_latents), vae.dtype)
    return Run(vae, x, estimator, objective, optimizer, n_samples, batch_size, seed, scheme)


def _steps(run, epochs, last=START):
    """Yield the records of the epochs after the one of the Record `last`, up to `epochs`."""
    with workers.instead_of_blas():
        yield from _epochs(run, epochs, last)


def _epochs(run, epochs, last):
    vae, x, estimator, objective, optimizer, n_samples, batch_size, seed, noise = run
    grads, empty = np.empty_like(vae.theta), Arena()
    step, seconds = last.step, last.seconds
    for epoch in range(last.epoch + 1, epochs + 1):
        # A stream for each epoch: a run that is taken up again needs no generator's state.
        order_rng, noise_rng, estimator_rng = map(np.random.default_rng, np.random.SeedSequence([seed, epoch]).spawn(3))
        order = order_rng.permutation(len(x))
        for start in range(0, len(x), batch_size):
            began = time.perf_counter()
            rows = order[start : start + batch_size]
            empty.rewind()
            batch = empty((len(rows), vae.n_features), vae.dtype if x.dtype.kind == "f" else x.dtype)
            gather(x, rows, batch)
            if noise is schemes.independent:
                eps = empty((n_samples, len(rows), vae.n_latents), vae.dtype)
                noise_rng.standard_normal(out=eps, dtype=vae.dtype)
            else:
                eps = noise(noise_rng, n_samples, len(rows), vae.n_latents, vae.dtype)
            step += 1
            try:
                losses = vae._step(batch, eps, estimator, objective, estimator_rng, grads, empty)
            except NonFiniteLoss as error:
                raise NonFiniteLoss(f"step {step}: {error}; try a smaller learning rate, or another estimator or more samples") from None
            if not math.isfinite(losses.loss):
                raise NonFiniteLoss(f"step {step}: the loss became {losses.loss}, though reconstruction and KL are finite; look at the estimator")
            optimizer.step(vae.theta, grads)
            if hasattr(estimator, "update"):
                _update(estimator, step)
            seconds += time.perf_counter() - began
            yield Record(step, epoch, *losses, seconds)


def _update(estimator, step):
    try:
        estimator.update()
    except ArithmeticError as error:
        raise NonFiniteLoss(f"step {step}: {error}; try a smaller learning rate") from None


def fit(vae, x, validation=None, epochs=10, checkpoint=None, after_epoch=None, **options):
    """Run `train` to its end with a progress bar, validating after each epoch. Returns a History.

    validation: held-out data (n, D); after_epoch: called with an epoch's number when it is over; the other options are `train`'s. Where the output is not a terminal, a plain
    line an epoch stands in for the bar. Ctrl-C ends the run; the model keeps what it learnt so far.

    checkpoint: a path, written after each epoch with all that the run is made of. If the file is there when `fit`
    starts, the run goes on after the last epoch in it, and ends with the numbers, bit for bit, of one that was never
    stopped. More epochs may be asked for than at first. Raises ValueError, saying what differs, if
    the file belongs to other settings, data or another model, TypeError if the optimiser or estimator cannot be saved.
    """
    from tqdm import tqdm

    run, epochs = _checked(vae, x, **options), validate.integer("epochs", epochs, least=0)
    if validation is not None:
        validation = LIKELIHOODS[vae.likelihood].check("validation", validation, vae.n_features)
    history = History() if checkpoint is None else _resumed(checkpoint, run, validation, epochs)
    last = history.records[-1] if history.records else START
    n_batches = -(-len(run.x) // run.batch_size)
    terminal = sys.stderr.isatty()
    with tqdm(total=epochs * n_batches, initial=last.step, unit="step", disable=not terminal) as bar:
        try:
            for record in _steps(run, epochs, last):
                history.records.append(record)
                bar.update()
                if record.step % n_batches:
                    continue
                line = summary(history.records[-n_batches:])
                if validation is not None:
                    bound = evaluate.bound(vae, validation)
                    history.validation.append(Validation(record.epoch, record.step, record.seconds, *bound))
                    line += f", validation {bound.loss:.2f}"
                if checkpoint is not None:
                    checkpoints.save(checkpoint, run, validation, history)
                if terminal:
                    bar.set_postfix_str(line)
                else:
                    print(f"epoch {record.epoch}/{epochs}: {line}", file=sys.stderr)
                if after_epoch is not None:
                    after_epoch(record.epoch)
        except KeyboardInterrupt:
            history.interrupted = True
    return history


def _resumed(checkpoint, run, validation, epochs):
    checkpoints.require_state(run)
    history = checkpoints.resume(checkpoint, run, validation)
    if history.records and history.records[-1].epoch > epochs:
        raise ValueError(f"{checkpoint} holds {history.records[-1].epoch} epochs, more than the {epochs} asked for")
    return history


def summary(records):
    """One line on an epoch's records: mean loss and its two terms, nats."""
    loss, reconstruction, kl = (np.mean([getattr(r, name) for r in records]) for name in ("loss", "reconstruction", "kl"))
    return f"loss {loss:.2f} = reconstruction {reconstruction:.2f} + KL {kl:.2f}"
