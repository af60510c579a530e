"""Training: a generator that yields a record a step."""

import contextlib
import math
import time
import weakref

import numpy as np

from tinyvae import estimators
from tinyvae.kernels.data import all_finite
from tinyvae.machine import team
from tinyvae.machine.arena import Arena, empty
from tinyvae.machine.disk import gather
from tinyvae.models import NonFiniteLoss
from tinyvae.training import checkpoints
from tinyvae.training.history import Record
from tinyvae.training.plan import Plan

__all__ = ["START", "train", "steps", "check_owner"]

MODELS = weakref.WeakKeyDictionary()  # of an optimiser, or an estimator that learns: the model that it last trained
START = Record(step=0, epoch=0, loss=np.nan, reconstruction=np.nan, kl=np.nan, seconds=0.0)


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
    clip_norm=Plan.clip_norm,
):
    """Train `vae` in place on `x`, yielding a Record a step.

    Parameters
    ----------
    vae : VAE, TwoLayerVAE, Autoencoder, VQVAE or AutoregressivePrior
        The model. One that draws no latents takes no estimator, objective, n_samples and noise.
    x : array (n, D)
        Data that the likelihood lets pass, see `likelihoods.checked`; for the built-in one floats in [0, 1], or
        bool / uint8 holding 0 and 1, which stay as they are and are converted a minibatch at a time. Each epoch begins
        by reading them: what is changed in the array between two epochs counts from the next on.
    estimator : str or callable
        A name, or an estimator, whose `update()`, if it has one, is called after each step; of a TwoLayerVAE also a
        pair of these, one for each layer.
    objective : ELBO, FreeBits or ImportanceWeighted
        What is minimised; its beta may be a function of the step, see `tv.schedules`.
    optimizer : optimiser, optional
        Adam(1e-3) if None; its rate may be a function of the step.
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
    clip_norm : float, optional
        A gradient whose Euclidean norm is larger is shortened to it; None leaves all as they are.

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
    plan = Plan(vae, x, estimator, objective, optimizer, n_samples, epochs, batch_size, seed, noise, clip_norm)
    check_owner(plan)
    return steps(plan, START)


def steps(plan, last):
    """The rest of a run.

    Parameters
    ----------
    plan : Plan
    last : Record
        Of the last step that was made, the last of its epoch; `START` if there was none.

    Yields
    ------
    Record
        One a step, of the epochs that follow.
    """
    if last is START:
        check_owner(plan)  # again: it may have learnt since the generator was made
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
            step += 1
            try:
                losses = plan.gradient(vae, batch, step, noise_rng, estimator_rng, grads)
            except NonFiniteLoss as error:
                raise NonFiniteLoss(
                    f"step {step}: {error}; try a smaller learning rate"
                    f"{', or another estimator or more samples' * plan.draws}"
                ) from None
            if not math.isfinite(losses.loss):
                raise NonFiniteLoss(
                    f"step {step}: the loss became {losses.loss}, though reconstruction and KL are finite; "
                    "look at the estimator"
                )
            plan.optimizer.step(vae.theta, grads)
            if hasattr(vae, "after_step"):
                vae.after_step(noise_rng)
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
    for estimator in getattr(plan.estimator, "parts", (plan.estimator,)):  # of two layers, one for each
        if estimators.learns(estimator):
            yield "estimator", estimator


def check_owner(plan):
    """Raise if something that learns along still has what it learnt with another model.

    Parameters
    ----------
    plan : Plan

    Raises
    ------
    ValueError
        If it has.
    """
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
