"""A family of VAEs over beta: what rate each pays for its distortion.

The models are trained one after the other, from the least beta to the largest, each from where the one before ended: a
latent that is in use is given up where it no longer pays, while one that was given up is seldom found again.
"""

import copy
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy

from tinyvae import likelihoods, validate
from tinyvae.compare.settings import default_estimators
from tinyvae.evaluate import Estimate, Rates, active_units, rates
from tinyvae.evaluate.bound import require_latents
from tinyvae.machine import files, progress
from tinyvae.models import VAE, NonFiniteLoss
from tinyvae.objectives import ELBO
from tinyvae.optim import Adam
from tinyvae.schedules import Cosine
from tinyvae.training import History, checkpoints
from tinyvae.training.history import say
from tinyvae.training.identity import fingerprint, words
from tinyvae.training.plan import Plan
from tinyvae.training.train import START, check_owner, steps

__all__ = [
    "BETAS",
    "FIRST",
    "LIKELIHOOD_SAMPLES",
    "Member",
    "Chord",
    "family",
    "chords",
    "entropy_limits",
    "without_code",
]

BETAS = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
LIKELIHOOD_SAMPLES = 500  # a held-out data point, for its log p(x)
EVERY = 2.0  # seconds from a checkpoint to the next, or an epoch where that is longer
FIRST = 4  # times the epochs: the first model starts from nothing, and a small beta takes the longest


class Member(NamedTuple):
    """One model of a family, and where it stands.

    Attributes
    ----------
    beta : float
        The KL's weight in training.
    vae : VAE
        The trained model.
    train, held_out : Rates
        Rate, distortion and the others on data of each kind, see `tv.evaluate.rates`.
    active : int
        Latents whose mean moves with the held-out data, see `tv.evaluate.active_units`.
    cross_entropy : Estimate
        Mean of -log p(x) over the held-out data, nats, by importance samples, with the standard error of these data: in
        expectation above that mean, most at a small beta, whose q is too narrow for them; below R + D, and above the
        entropy H of what the data are drawn from.
    """

    beta: float
    vae: VAE
    train: Rates
    held_out: Rates
    active: int
    cross_entropy: Estimate


class Chord(NamedTuple):
    """From one member to the next: the nats of distortion that a nat of rate is exchanged for.

    Attributes
    ----------
    betas : tuple of two float
        Between which `slope` lies, if each model is the best there is at its beta.
    slope : float
        -dD / dR; NaN where the rates are equal.
    excess : tuple of two Estimate
        D + beta R of the first member less that of the second, at the first's beta, and the second's less the first's,
        at the second's beta: nats, not above 0 if each is the best at its beta.
    """

    betas: tuple
    slope: float
    excess: tuple


def family(
    vae,
    x,
    held_out,
    betas=BETAS,
    epochs=60,
    rate=3e-3,
    batch_size=100,
    seed=0,
    folder=None,
    n_samples=20,
    n_rows=2000,
):
    """Train a model at each beta, and find where it stands on the plane of rate and distortion.

        minimise D + beta R,    D = mean E_q[-log p(x | z)],  R = mean KL(q(z | x) || p(z))

    From the least beta to the largest, each model starts from the weights of the one before; Adam's rate falls to 0
    along half a cosine, anew in each. At the best models -dD/dR = beta, R falls with beta, D rises, and D is a convex
    function of R; R + D, the negative ELBO, is lowest at beta = 1. Of models that a training found, `chords` tells how
    far that holds; on data that they have not seen, nothing says that it must. Bits and choices train by "disarm".

    Parameters
    ----------
    vae : VAE
        What the first model starts from; it is left as it is.
    x : array (n, D)
        The training data.
    held_out : array (m, D)
        Data that no model is trained on.
    betas : sequence of float
        Above 0, at least two, in any order.
    epochs : int
        Passes over x, for each model; four times as many for the first, which starts from nothing.
    rate : float
        Adam's first step size, in units of the parameters.
    batch_size, seed : int
        Those of `train`; the seed is also that of the evaluation.
    folder : str or path, optional
        Where each model's checkpoint is kept, beta-0.5.npz, which `VAE.load` reads, too. A family that was killed at
        any instant goes on from there, some seconds or an epoch back, when the same is asked for again, to the same
        numbers, bit for bit.
    n_samples : int
        Samples a data point, at least 2, for `tv.evaluate.rates`.
    n_rows : int
        Data points of each kind, at most, that the numbers are measured on: drawn by the seed where there are more.

    Returns
    -------
    list of Member
        In ascending order of beta.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, or if a checkpoint in the folder belongs to another family.
    NonFiniteLoss
        If a training diverges, naming its beta.
    OSError
        If a checkpoint cannot be written.

    Notes
    -----
    Source: Higgins et al. 2017 (beta); Alemi et al. 2018, section 2 (the plane).
    """
    require_latents("a family over beta", vae)
    likelihoods.require_density(vae.likelihood, "rates")
    betas = _checked(betas)
    x, held_out = vae.check_data(x), vae.check_data(held_out, "held_out")
    epochs, n_rows = validate.integer("epochs", epochs, least=1), validate.integer("n_rows", n_rows, least=4)
    for name, rows in (("x", x), ("held_out", held_out)):
        if len(rows) < 4:
            raise ValueError(f"{name} must hold at least four data points, for a spread and its error, got {len(rows)}")
    validate.integer("n_samples", n_samples, least=2)
    seed, batch_size = validate.integer("seed", seed, least=0), validate.integer("batch_size", batch_size, least=1)
    n_epochs, n_batches = [FIRST * epochs, *[epochs] * (len(betas) - 1)], -(-len(x) // batch_size)
    optimizers = [Adam(Cosine(rate, n * n_batches)) for n in n_epochs]
    model, members = vae, []
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        files.require_writable(Path(folder, f"beta-{betas[0]:g}.npz"), 3 * vae.theta.nbytes)
    with progress.bar(sum(n_epochs), "epoch") as bar:
        for i, (beta, epochs, optimizer) in enumerate(zip(betas, n_epochs, optimizers)):
            options = {"objective": ELBO(beta), "optimizer": optimizer, "batch_size": batch_size, "seed": seed}
            if vae.n_states < np.inf:
                options["estimator"] = default_estimators(latents=vae.family)[0]
            model = copy.deepcopy(model)
            bar.set_postfix_str(f"beta {beta:g}")
            try:
                plan = Plan(model, x, epochs=epochs, **options)
                _train(plan, betas, None if folder is None else Path(folder, f"beta-{beta:g}.npz"), bar)
            except NonFiniteLoss as error:
                raise NonFiniteLoss(f"beta {beta:g}: {error}") from None
            members.append(_placed(beta, model, x, held_out, seed, n_samples, n_rows))
            if bar.disable:
                rates_, of = members[-1].held_out, f"beta {beta:g} ({i + 1} of {len(betas)})"
                say(f"{of}: R {rates_.rate.value:.2f}, D {rates_.distortion.value:.2f} nats on held-out data")
    return members


def _checked(betas):
    """The betas as sorted floats."""
    betas = [validate.number("each of betas", beta, least=0, open_least=True) for beta in betas]
    if len(betas) < 2:
        raise ValueError(f"betas must be at least two, for a curve, got {betas}")
    if len({f"{beta:g}" for beta in betas}) < len(betas):
        raise ValueError(f"betas must differ, in their first six digits, got {', '.join(f'{b:g}' for b in betas)}")
    return sorted(betas)


def _train(plan, betas, checkpoint, bar):
    """Train one model in place; with a checkpoint, from where it was left."""
    history, start = History(), None
    if checkpoint is not None:
        start = checkpoints.start(plan, None)
        own = {"epochs": str(plan.epochs), "betas": words(betas), "the start": fingerprint(plan.vae.theta)}
        start = start._replace(settings={name: [text, text] for name, text in own.items()} | start.settings)
        history = checkpoints.resume(checkpoint, plan, start)
    if not history.records:
        check_owner(plan)
    last = history.records[-1] if history.records else START
    bar.update(last.epoch)
    saved = time.monotonic()
    for record in steps(plan, last):
        history.records.append(record)
        if record.step % plan.n_batches == 0:
            if checkpoint is not None and (record.epoch == plan.epochs or time.monotonic() - saved >= EVERY):
                checkpoints.save(checkpoint, plan, start, history)
                saved = time.monotonic()
            bar.update()


def _placed(beta, vae, x, held_out, seed, n_samples, n_rows):
    """A trained model and its numbers, decided by the model, the data and the seed."""
    streams = np.random.SeedSequence([seed, 13]).spawn(4)
    order_x, order, noise_x, noise = map(np.random.default_rng, streams)
    x, held_out = _some(x, order_x, n_rows), _some(held_out, order, n_rows)
    with warnings.catch_warnings():  # at a small beta the information is at its most in any family
        warnings.filterwarnings("ignore", "the information, |log p.x. is worthless")  # and its encoder too narrow
        train, other = rates(vae, x, noise_x, n_samples), rates(vae, held_out, noise, n_samples)
        cost = -vae.log_likelihood(held_out, LIKELIHOOD_SAMPLES, noise)
    return Member(beta, vae, train, other, active_units(vae, held_out).count, _mean(cost))


def _mean(each):
    """The mean of numbers (n,), and its standard error."""
    return Estimate(float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each))))


def _some(x, rng, n_rows):
    return x if len(x) <= n_rows else x[np.sort(rng.choice(len(x), n_rows, replace=False))]


def chords(members):
    """What the theory says of neighbours, on the training data: each is the better one at its own beta.

        D_1 + beta_1 R_1 <= D_2 + beta_1 R_2,    D_2 + beta_2 R_2 <= D_1 + beta_2 R_1

    Two such inequalities put -dD/dR between beta_1 and beta_2; from one pair of neighbours to the next that makes R
    fall, D rise, and D a convex function of R. A training that stops short of the best, or in a place of its own, shows
    as an excess above 0.

    Parameters
    ----------
    members : sequence of Member
        In ascending order of beta.

    Returns
    -------
    list of Chord
        One less than members; the errors are those of the sampled latents.
    """
    found = []
    for first, second in zip(members, members[1:]):
        (r_1, d_1), (r_2, d_2) = (one.train[:2] for one in (first, second))
        fall, rise = r_1.value - r_2.value, d_2.value - d_1.value
        error = float(np.hypot(d_1.error, d_2.error))
        excess = Estimate(first.beta * fall - rise, error), Estimate(rise - second.beta * fall, error)
        found.append(Chord((first.beta, second.beta), rise / fall if fall else np.nan, excess))
    return found


def entropy_limits(members, greys=None):
    """What is known of the entropy H of the distribution that the held-out data come from, nats.

    H is at most what any model pays for data that it has not seen, -log p(x) on average, and so at most R + D. It is at
    least the entropy of the drawing, where each pixel was drawn as black or white from a grey: H(x) >= H(x | grey). The
    least of several members' numbers is taken, which on few data is a little low.

    Parameters
    ----------
    members : sequence of Member
    greys : array (m, D), optional
        The held-out data before their pixels were drawn.

    Returns
    -------
    low : Estimate or None
        Below H; 0 of probabilities without `greys`, None of a density, whose entropy has no least value.
    high : Estimate
        Above H. Both with the standard errors of the data.
    """
    high = min((one.cross_entropy for one in members), key=lambda one: one.value)
    if greys is not None:
        each = scipy.special.entr(np.asarray(greys, "float64")) + scipy.special.entr(
            1 - np.asarray(greys, "float64")
        )  # m, D
        return _mean(each.sum(axis=1)), high
    return Estimate(0.0, 0.0) if members[0].held_out.bits else None, high


def without_code(x, held_out):
    """The distortion of the best decoder that knows no code: each pixel on its own, black with its mean.

    Parameters
    ----------
    x : array (n, D)
        Training data of 0 and 1.
    held_out : array (m, D)
        Likewise.

    Returns
    -------
    train : float
        Sum of the pixels' entropies, nats: the limit of D for beta to infinity, where R goes to 0.
    held_out : Estimate
        Mean of -log p(x) under the means of the training data, half a pixel of each kind added to these, with the
        standard error of the data.

    Raises
    ------
    ValueError
        For pixels that are not 0 or 1, or of another number.
    """
    x, held_out = np.asarray(x, "float64"), np.asarray(held_out, "float64")
    validate.check_shape("x", x, ("n", "D"))
    validate.check_shape("held_out", held_out, ("m", x.shape[1]))
    if not all(np.isin(rows, (0, 1)).all() for rows in (x, held_out)):
        raise ValueError("x and held_out must hold 0 and 1 alone, see tv.datasets.binarize")
    mean = x.mean(axis=0)
    smooth = (x.sum(axis=0) + 0.5) / (len(x) + 1)
    each = -(held_out * np.log(smooth) + (1 - held_out) * np.log1p(-smooth)).sum(axis=1)
    return float((scipy.special.entr(mean) + scipy.special.entr(1 - mean)).sum()), _mean(each)
