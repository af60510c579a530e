"""Judges of lesson 07: an optimizer for a noisy gradient, and two ratios of variances."""

import math

import numpy as np

from tinyvae import variance
from tinyvae.datasets import binarize
from tinyvae.datasets import load as load_images
from tinyvae.evaluate import bound
from tinyvae.exercises.contract import Wrong, array, call, close, off
from tinyvae.models import VAE
from tinyvae.training import train

__all__ = ["optimizer_for_a_noisy_gradient", "noise_ratio", "predicted_ratio"]

SEEDS = range(21, 26)
N_STEPS = 480
ALLOWED = math.log(1.2)  # for an estimate's own noise


def optimizer_for_a_noisy_gradient(answer):
    """Judge an optimizer by five trainings with the score function.

    Parameters
    ----------
    answer : callable
        The reader's function.

    Raises
    ------
    Wrong
        If it is no optimizer, or a model is no better than one without a code.
    """
    digits, rng = load_images("digits"), np.random.default_rng(70)
    images, held = binarize(digits.train, rng), binarize(digits.test, rng)  # N, D; N, D
    average = images.mean(axis=0).clip(0.001, 0.999)  # D
    without_code = -(held * np.log(average) + (1 - held) * np.log(1 - average)).sum(axis=1).mean()
    kept = []
    for n, seed in enumerate(SEEDS, start=1):
        optimizer = call(answer)
        if optimizer is None:
            raise Wrong("the result is None, expected an optimizer: is there a return?")
        if isinstance(optimizer, type) or not callable(getattr(optimizer, "step", None)):
            raise Wrong(f"the result is no optimizer with a method step(theta, gradient): {_kind(optimizer)}")
        if any(optimizer is one for one in kept):
            raise Wrong("the same optimizer twice: what it remembers of one model's gradients is used for the next one")
        kept.append(optimizer)
        halfway, end = _losses(optimizer, images, held, seed)
        if end.loss < without_code:
            continue
        saved = without_code - (end.loss - end.kl)
        found = f"model {n} of {len(SEEDS)} ends {end.loss - without_code:.1f} nats above the model without a code"
        if halfway.loss - end.loss > 0.9 and end.kl < 4:
            raise Wrong(f"{found}, and is on its way down: are the steps long enough for the time?")
        raise Wrong(
            f"{found}: it pays {end.kl:.1f} nats for its code and saves {saved:.1f}: what do long steps do to noise?"
        )


def _losses(optimizer, images, held, seed):
    """The bounds on held-back images halfway and in the end. Raises Wrong if training fails."""
    vae = VAE(n_features=images.shape[1], n_latents=10, hidden=(50,), seed=seed)
    settings = {"n_samples": 2, "epochs": 60, "batch_size": 200, "seed": seed}
    before, halfway = vae.theta.copy(), None
    try:
        for record in train(vae, images, "score_function", optimizer=optimizer, **settings):
            if record.step == N_STEPS // 2:
                halfway = bound(vae, held, n_samples=10)
    except ArithmeticError as error:
        raise Wrong(f"training diverged ({error}): are the steps too long?") from error
    if np.array_equal(before, vae.theta):
        raise Wrong("the optimizer leaves the parameters as they are: step changes theta in place")
    return halfway, bound(vae, held, n_samples=10)


def noise_ratio(answer):
    """Judge the ratio of two variances at the parameters of given models.

    Parameters
    ----------
    answer : callable
        The reader's function.

    Raises
    ------
    Wrong
        If it is off by more than a fifth.
    """
    x = binarize(load_images("digits").train[300:330], np.random.default_rng(72))  # B, D
    for n_latents, n_samples in ((2, 2), (12, 2), (6, 5)):
        vae = VAE(n_features=x.shape[1], n_latents=n_latents, hidden=(30,), seed=n_latents)
        place = f"K = {n_latents}, S = {n_samples}"
        got = float(array(call(answer, vae, x.copy(), n_samples), (), f"the ratio for {place}"))
        names = ("leave_one_out", "reparameterization", "score_function")
        settings = {"n_draws": 400, "seed": 73, "n_timings": 0, "blocks": ("mu", "encoder")}
        reports = variance.measure(vae, x, names, n_samples=n_samples, **settings)
        ours = {name: report.total["encoder"].variance.value for name, report in reports.items()}
        right = ours["leave_one_out"] / ours["reparameterization"]
        if got > 0 and abs(math.log(got / right)) < ALLOWED:
            continue
        at_two = variance.measure(vae, x, names[:2], n_samples=2, **settings) if n_samples != 2 else reports
        two = [at_two[name].total["encoder"].variance.value for name in names[:2]]
        at_mu = [reports[name].total["mu"].variance.value for name in names[:2]]
        mistakes = (
            (1 / right, "it is the other way round: whose noise is asked for?"),
            (math.sqrt(right), "it is a ratio of standard deviations, not of variances"),
            (ours["score_function"] / ours["reparameterization"], "it is the score function's ratio"),
            (ours["score_function"] / ours["leave_one_out"], "it is the score function's ratio to leave-one-out's"),
            (two[0] / two[1], "it is the ratio for S = 2, whatever n_samples is"),
            (at_mu[0] / at_mu[1], "it is the ratio for the slope in mu, not for the encoder's weights"),
            (ours["leave_one_out"], "it is leave-one-out's variance: nothing was divided"),
        )
        for mistaken, words in mistakes:
            if got > 0 and abs(math.log(got / mistaken)) < 0.5 * ALLOWED:
                raise Wrong(f"{place}: {words}")
        raise Wrong(
            f"{place}: {off(got, right)}, which 200 draws of each would not be: at the same parameters and batch?"
        )


def predicted_ratio(answer):
    """Judge the prediction from losses.

    Parameters
    ----------
    answer : callable
        The reader's function.

    Raises
    ------
    Wrong
        If it differs by more than what N or N - 1 in a variance can do.
    """
    rng = np.random.default_rng(74)
    for n_samples, B in ((2, 4), (8, 6), (3, 1)):
        level, spread = rng.uniform(2, 6, B), rng.uniform(0.8, 3, B)  # B; B
        f = level + spread * rng.standard_gamma(2.0, (1000, B))  # N, B
        place = f"S = {n_samples}, {B} image{'s' * (B > 1)}"
        got = array(call(answer, f, n_samples), (), f"the ratio for {place}")
        m, v, S = f.mean(axis=0), f.var(axis=0), n_samples  # B; B

        def ratio(above, below):
            return above.mean() / below.mean() * (S - 1) / S

        right = ratio(m**2 + v, v)
        if close(got, right, 4e-3):
            continue
        pooled = f.mean() ** 2 + f.var()
        mistakes = (
            (1 / right, "it is the other way round: whose variance is on top?"),
            ((m**2 + v).mean() / (2 * v).mean(), "it is the ratio for S = 2, whatever n_samples is"),
            (right * S / (S - 1), "as if the baseline were known exactly, but it is a mean of S - 1 samples"),
            (right / (S - 1), "as if the baseline were one other sample, but it is a mean of S - 1"),
            (right / S, "leave-one-out is divided by S, the score function is not"),
            (right * S, "the score function is divided by S, leave-one-out is not"),
            (((m**2 + v) / v).mean() * (S - 1) / S, "it is a mean of ratios, not a ratio of means over the images"),
            (ratio(m**2, v), "the score function's f has a variance of its own, beside its mean"),
            (ratio(v, m**2 + v), "it is the other way round, and S on the wrong side"),
            (ratio(m**2 + v, np.sqrt(v)), "it has a standard deviation where a variance belongs"),
            (math.sqrt(right), "it is a ratio of standard deviations, not of variances"),
            (pooled / f.var() * (S - 1) / S, "all images are thrown together: f's level differs from image to image"),
        )
        for mistaken, words in mistakes:
            if close(got, mistaken, 4e-3):
                raise Wrong(f"{place}: {words}")
        raise Wrong(f"{place}: {off(got, right)}; what multiplies the score, and what is its mean square?")


def _kind(value):
    return f"it is the class {value.__name__}" if isinstance(value, type) else f"it is of type {type(value).__name__}"
