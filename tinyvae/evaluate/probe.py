"""What a code tells of a label, when few labels are there."""

from typing import NamedTuple

import numpy as np
import scipy

from tinyvae import validate
from tinyvae.evaluate.estimate import Estimate
from tinyvae.evaluate.geometry import codes
from tinyvae.machine import team, workers

__all__ = ["Probe", "probe"]


class Probe(NamedTuple):
    """The share of held-out data that a linear classifier labels right, learnt from few labels.

    Attributes
    ----------
    codes : Estimate
        Of the codes.
    pixels : Estimate
        Of the data themselves, with the same labels drawn.
    gain : Estimate
        codes - pixels, pair by pair.
    """

    codes: Estimate
    pixels: Estimate
    gain: Estimate


def probe(model, x, labels, x_test, labels_test, per_class=10, rng=None, n_repeats=20):
    """How well few labels tell apart the classes in a latent space: multinomial logistic regression on the codes.

        min_W,b  sum_i -log softmax_{y_i}(W c_i + b) + 1/2 |W|^2,   c the codes, moved and scaled in common so that a
        feature has mean 0, and variance 1 on average, over all of x

    Each repeat draws `per_class` rows of each class from x, learns from their labels alone, and is tested on all of
    x_test. Pixels in place of the codes, treated alike, are the baseline.

    Parameters
    ----------
    model : VAE, Autoencoder, TwoLayerVAE or VQVAE
        The model, whose `codes` are asked.
    x : array (n, D)
        The training data, of which only `per_class` rows a class get a label.
    labels : array (n,)
        Whole numbers, or words.
    x_test, labels_test : array (m, D) and (m,)
        Held-out data.
    per_class : int
        Labelled rows of each class.
    rng : numpy.random.Generator
        Of the rows drawn.
    n_repeats : int
        Draws of them, at least 2.

    Returns
    -------
    Probe
        The errors are those of other labelled rows of x and other held-out data, rather a little too large:
        error^2 = var over repeats / n_repeats + var over held-out rows / m. The model is held.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, such as a class of fewer rows.
    """
    x, x_test = model.check_data(x), model.check_data(x_test, "x_test")
    labels, labels_test = _labels("labels", labels, len(x)), _labels("labels_test", labels_test, len(x_test))
    per_class = validate.integer("per_class", per_class, least=1)
    n_repeats = validate.integer("n_repeats", n_repeats, least=2)
    validate.generator("rng", rng)
    if len(x_test) < 2:
        raise ValueError("x_test must hold at least two rows, to tell an error, got one")
    classes, y, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"labels must be of two classes or more, got nothing but {classes[0]}")
    if sizes.min() < per_class:
        raise ValueError(
            f"per_class must be at most {sizes.min()}, the rows of the smallest class {classes[sizes.argmin()]!r}, "
            f"got {per_class}"
        )
    if strange := set(labels_test.tolist()) - set(classes.tolist()):
        raise ValueError(f"labels_test has the class {min(strange)!r}, which labels lacks")
    y_test = np.searchsorted(classes, labels_test)
    spaces = [_scaled(codes(model, x), codes(model, x_test)), _scaled(x, x_test)]
    rows = [
        np.concatenate([rng.choice(np.flatnonzero(y == one), per_class, replace=False) for one in range(len(classes))])
        for _ in range(n_repeats)
    ]

    def right(few):
        return [_classified(c[few], y[few], c_test, len(classes)) == y_test for c, c_test in spaces]  # 2, m

    with team.ready():
        found = np.array(list(workers.run(right, rows)), "float64")  # repeats, 2, m
    return Probe(_both(found[:, 0]), _both(found[:, 1]), _both(found[:, 0] - found[:, 1]))


def _both(right):
    """The mean of (repeats, m), and its error over other rows and other columns."""
    square = sum(right.mean(axis=1 - axis).var(ddof=1) / right.shape[axis] for axis in (0, 1))
    return Estimate(float(right.mean()), float(np.sqrt(square)))


def _labels(name, labels, n):
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biuU":
        raise TypeError(f"{name} must be whole numbers or words, got {labels.dtype}")
    validate.check_shape(name, labels, (n,))
    return labels


def _scaled(features, test):
    """Both as float64, with the mean and the mean variance of the first."""
    mean = features.mean(axis=0, dtype="float64")
    spread = np.sqrt(((features - mean) ** 2).mean()) or 1.0
    return (features - mean) / spread, (test - mean) / spread


def _classified(features, y, test, n_classes):
    """Learn from features (n, K) and classes y (n,), and name the most probable class of each row of test, (m,)."""
    ones, shape = np.eye(n_classes)[y], (features.shape[1], n_classes)

    def split(flat):
        return flat[:-n_classes].reshape(shape), flat[-n_classes:]

    def probabilities(flat):
        weights, bias = split(flat)
        logits = features @ weights + bias  # n, C
        logits -= logits.max(axis=1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return weights, log_p

    def loss_and_slope(flat):
        weights, log_p = probabilities(flat)
        slope = np.exp(log_p) - ones
        both = np.concatenate([(features.T @ slope + weights).ravel(), slope.sum(axis=0)])
        return 0.5 * (weights**2).sum() - (log_p * ones).sum(), both

    def curvature(flat, along):
        (_, log_p), (turn, shift) = probabilities(flat), split(along)
        p, moved = np.exp(log_p), features @ turn + shift
        moved = p * (moved - (p * moved).sum(axis=1, keepdims=True))
        return np.concatenate([(features.T @ moved + turn).ravel(), moved.sum(axis=0)])

    start = np.zeros((features.shape[1] + 1) * n_classes)
    # Not L-BFGS, whose compiled loop waits in SciPy's own BLAS for threads that a busy machine keeps from it.
    found = scipy.optimize.minimize(loss_and_slope, start, jac=True, hessp=curvature, method="trust-ncg").x
    return (test @ found[:-n_classes].reshape(shape) + found[-n_classes:]).argmax(axis=1)
