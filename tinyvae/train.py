"""Training: a generator that yields a record a step, and `fit`, which runs it with a progress bar."""

import sys
import time
from typing import NamedTuple

import numpy as np

from tinyvae import blas, estimators, evaluate, validate
from tinyvae.distributions import LIKELIHOODS
from tinyvae.kernels.data import gather
from tinyvae.objectives import ELBO, check_objective
from tinyvae.optim import Adam
from tinyvae.vae import NonFiniteLoss


class Record(NamedTuple):
    """One step: losses are minibatch means in nats, taken before the update; seconds are spent in steps so far."""

    step: int
    epoch: int
    loss: float
    reconstruction: float
    kl: float
    seconds: float


class Validation(NamedTuple):
    """The negative ELBO on held-out data after an epoch, nats a data point."""

    epoch: int
    step: int
    seconds: float
    loss: float
    reconstruction: float
    kl: float


class History:
    """What `fit` returns: records, a Record a step; validation, a Validation an epoch; interrupted, by Ctrl-C.

    loss, reconstruction, kl, seconds: each an array over the steps.
    """

    def __init__(self):
        self.records, self.validation, self.interrupted = [], [], False

    loss = property(lambda self: self._column("loss"))
    reconstruction = property(lambda self: self._column("reconstruction"))
    kl = property(lambda self: self._column("kl"))
    seconds = property(lambda self: self._column("seconds"))

    def _column(self, name):
        return np.array([getattr(record, name) for record in self.records])


class Arena:
    """An allocator of numpy.empty's signature that hands out the same arrays again after `rewind`."""

    def __init__(self):
        self._arrays, self._used = {}, {}

    def __call__(self, shape, dtype):
        key = (shape, dtype)
        arrays, used = self._arrays.setdefault(key, []), self._used.get(key, 0)
        if used == len(arrays):
            arrays.append(np.empty(shape, dtype))
        self._used[key] = used + 1
        return arrays[used]

    def rewind(self):
        """From here on, reuse: what was handed out before may be overwritten."""
        self._used.clear()


def train(vae, x, estimator="reparameterization", objective=ELBO(), optimizer=None, n_samples=1, epochs=10, batch_size=100, seed=0):
    """Train `vae` in place on `x`, yielding a Record a step.

    x: (n, D), float in [0, 1], or bool / uint8 holding 0 and 1, which stay as they are and are converted
    a minibatch at a time. estimator: a name or a callable; objective: an ELBO; optimizer: Adam(1e-3) if
    None; n_samples: L, samples a data point; batch_size: M; the last minibatch of an epoch may be smaller.
    The seed fixes the minibatches and the noise, the same for every estimator.

    Raises ValueError or TypeError at once for input that does not fit; NonFiniteLoss at the first step
    whose loss is not finite, naming the step and the term.
    """
    likelihood = LIKELIHOODS[vae.likelihood]
    x = likelihood.check("x", x, vae.n_features)
    estimator = estimators.resolve(estimator)
    check_objective(objective)
    optimizer = Adam(1e-3) if optimizer is None else optimizer
    if isinstance(optimizer, type) or not hasattr(optimizer, "step"):
        raise TypeError(f"optimizer must be an optimiser such as tv.Adam(1e-3), got {optimizer!r}")
    n_samples = validate.integer("n_samples", n_samples, least=1)
    epochs = validate.integer("epochs", epochs, least=0)
    batch_size = validate.integer("batch_size", batch_size, least=1)
    seeds = np.random.SeedSequence(validate.integer("seed", seed, least=0)).spawn(3)
    return _steps(vae, x, estimator, objective, optimizer, n_samples, epochs, batch_size, seeds)


def _steps(vae, x, estimator, objective, optimizer, n_samples, epochs, batch_size, seeds):
    order_rng, noise_rng, estimator_rng = (np.random.default_rng(seed) for seed in seeds)
    grads, empty = np.empty_like(vae.theta), Arena()
    step, seconds = 0, 0.0
    for epoch in range(1, epochs + 1):
        order = order_rng.permutation(len(x))
        for start in range(0, len(x), batch_size):
            began = time.perf_counter()
            rows = order[start : start + batch_size]
            empty.rewind()
            batch = empty((len(rows), vae.n_features), vae.dtype)
            gather(x, rows, batch)
            eps = empty((n_samples, len(rows), vae.n_latents), vae.dtype)
            noise_rng.standard_normal(out=eps, dtype=vae.dtype)
            step += 1
            try:
                with blas.suited_to(eps[..., 0].size, vae.encoder.sizes):
                    losses = vae._step(batch, eps, estimator, objective, estimator_rng, grads, empty)
            except NonFiniteLoss as error:
                raise NonFiniteLoss(f"step {step}: {error}; try a smaller learning rate, or another estimator or more samples") from None
            if not np.isfinite(losses.loss):
                raise NonFiniteLoss(f"step {step}: the loss became {losses.loss}, though reconstruction and KL are finite; look at the estimator")
            optimizer.step(vae.theta, grads)
            seconds += time.perf_counter() - began
            yield Record(step, epoch, *losses, seconds)


def fit(vae, x, validation=None, epochs=10, **options):
    """Run `train` to its end with a progress bar, validating after each epoch. Returns a History.

    validation: held-out data (n, D); the other options are `train`'s. Where the output is not a terminal, a plain
    line an epoch stands in for the bar. Ctrl-C ends the run; the model keeps what it learnt so far.
    """
    from tqdm import tqdm

    records = train(vae, x, epochs=epochs, **options)
    if validation is not None:
        validation = LIKELIHOODS[vae.likelihood].check("validation", validation, vae.n_features)
    history = History()
    n_batches = -(-len(x) // options.get("batch_size", 100))
    terminal = sys.stderr.isatty()
    with tqdm(total=epochs * n_batches, unit="step", disable=not terminal) as bar:
        try:
            for record in records:
                history.records.append(record)
                bar.update()
                if record.step % n_batches:
                    continue
                line = summary(history.records[-n_batches:])
                if validation is not None:
                    bound = evaluate.bound(vae, validation)
                    history.validation.append(Validation(record.epoch, record.step, record.seconds, *bound))
                    line += f", validation {bound.loss:.2f}"
                if terminal:
                    bar.set_postfix_str(line)
                else:
                    print(f"epoch {record.epoch}/{epochs}: {line}", file=sys.stderr)
        except KeyboardInterrupt:
            history.interrupted = True
    return history


def summary(records):
    """One line on an epoch's records: mean loss and its two terms, nats."""
    loss, reconstruction, kl = (np.mean([getattr(r, name) for r in records]) for name in ("loss", "reconstruction", "kl"))
    return f"loss {loss:.2f} = reconstruction {reconstruction:.2f} + KL {kl:.2f}"
