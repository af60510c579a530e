"""Judges of lesson 12: the beta that a loss stands for, the continuous Bernoulli, and variances above a floor."""

import numpy as np

from tinyvae.exercises.contract import Wrong, array, call, close, off, several
from tinyvae.likelihoods import Bernoulli, ContinuousBernoulli, Gaussian

__all__ = ["beta_of_a_loss", "continuous_bernoulli", "best_floored_variance"]


def beta_of_a_loss(answer):
    """Judge the beta of sums and means of squares, up to rounding.

    Parameters
    ----------
    answer : callable
        (squares, kl_weight, n_pixels, v) -> beta.

    Raises
    ------
    Wrong
        If it is off.
    """
    for squares, kl_weight, n_pixels, v in (
        ("sum", 1.0, 64, 0.5), ("mean", 1.0, 784, 0.5), ("sum", 3.0, 10, 0.02), ("mean", 0.25, 50, 2.0),
    ):  # fmt: skip
        got = float(array(call(answer, squares, kl_weight, n_pixels, v), (), "beta"))
        pixels = n_pixels if squares == "mean" else 1
        expected = kl_weight * pixels / (2 * v)
        if close(got, expected):
            continue
        where = f"for the {squares} of squares, KL weight {kl_weight:g}, D = {n_pixels}, v = {v:g}"
        for mistake, value in {
            "the half of the Gaussian's exponent is missing": 2 * expected,
            "the variance is left out of it": kl_weight * pixels,
            "the variance is on the wrong side": kl_weight * pixels * 2 * v,
            "v is the variance already, it is not to be squared": kl_weight * pixels / (2 * v**2),
            "the number of pixels does not count, though it is a mean": expected / pixels,
            "the number of pixels is on the wrong side": expected / pixels**2,
            "the number of pixels counts in a mean only": expected * n_pixels,
            "the weight of the KL is left out of it": expected / kl_weight,
            "it is upside down": 1 / expected,
        }.items():
            if close(got, value):
                raise Wrong(f"{where}: {mistake}")
        raise Wrong(f"{where} it is {off(got, expected)}")


def continuous_bernoulli(answer):
    """Judge loss and slope against the package's, at logits of any size.

    Parameters
    ----------
    answer : callable
        (logits, x) -> losses (n,) and slopes (n, D).

    Raises
    ------
    Wrong
        If one of the two is off; the message says at which logits.
    """
    rng = np.random.default_rng(0)
    for name, logits in {
        "for logits about 1": rng.normal(0, 2, (5, 3)),
        "for negative logits": -rng.uniform(1, 6, (4, 2)),
        "at logits 0": np.zeros((3, 4)),
        "for logits about 1e-7": rng.normal(0, 1e-7, (3, 2)),
        "for logits about 0.01": rng.normal(0, 1e-2, (3, 2)),
        "for logits of some hundreds": rng.uniform(300, 900, (4, 2)),
        "for logits of minus some hundreds": -rng.uniform(300, 900, (4, 2)),
        "for logits of both signs": np.array([[800.0, 0.0, -1.0], [1e-9, -800.0, 2.0]]),
    }.items():
        x = rng.uniform(0, 1, logits.shape)  # n, D
        losses, slopes = _pass(ContinuousBernoulli, logits, x)  # n; n, D
        parts = several(call(answer, logits, x), 2, "the result (losses, slopes)")
        got = array(parts[0], losses.shape, f"{name}, the loss"), array(parts[1], slopes.shape, f"{name}, the slope")
        bare, bare_slopes = _pass(Bernoulli, logits, x)  # n; n, D
        for mistake, value in {
            "that is the cross-entropy: its density's integral is not 1": bare,
            "the sign is wrong: that is the log-density": -losses,
            "the constant that makes it a density has the wrong sign": 2 * bare - losses,
            "it is a mean over pixels, where a sum is asked": losses / x.shape[1],
        }.items():
            if not close(got[0], losses) and close(got[0], value):
                raise Wrong(f"{name}, the loss: {mistake}")
        for mistake, value in {
            "that is the cross-entropy's: the constant depends on the logits, too": bare_slopes,
            "the sign is wrong: the loss falls against its slope": -slopes,
            "that is the mean alone: where does x come in?": slopes + x,
            "it is divided by the number of pixels": slopes / x.shape[1],
        }.items():
            if not close(got[1], slopes) and close(got[1], value):
                raise Wrong(f"{name}, the slope: {mistake}")
        for what, one, right in zip(("loss", "slope"), got, (losses, slopes)):
            if not close(one, right):
                raise Wrong(f"{name}, the {what} is {off(one, right)}")


def best_floored_variance(answer):
    """Judge the variances and their cost, up to rounding.

    Parameters
    ----------
    answer : callable
        (errors, floor) -> variances (D,) and a number.

    Raises
    ------
    Wrong
        If one of the two is off.
    """
    rng = np.random.default_rng(1)
    for n, scales, floor in (
        (7, (0.5, 0.1, 0.3), 1e-3), (6, (0.5, 0.01, 0.0, 0.2), 0.01), (5, (0.1, 0.02), 0.5), (9, (2.0, 0.0), 1e-8),
    ):  # fmt: skip
        errors = (rng.standard_normal((n, len(scales))) + 0.4) * scales  # n, D
        squares = (errors**2).mean(axis=0)  # D
        best = np.maximum(squares, floor)  # D
        parts = several(call(answer, errors, floor), 2, "the result (variances, cost)")
        got = array(parts[0], best.shape, "the variances")
        cost = float(array(parts[1], (), "the cost"))
        low = squares < floor  # D
        where = f"with {low.sum()} of {len(low)} pixels below the floor"
        if not np.allclose(got, best, rtol=1e-4, atol=0):
            for mistake, value in {
                "there is no floor under them": squares,
                "the floor is added, where it is a least value": squares + floor,
                "the mean of the errors is subtracted, but m is what the decoder says: it is not fitted again":
                    np.maximum(errors.var(axis=0), floor),
                "it is divided by n - 1: the likelihood's best is not the unbiased one":
                    np.maximum(squares * n / (n - 1), floor),
                "these are standard deviations": np.sqrt(best),
                "these are sums over images": np.maximum(squares * n, floor),
                "the floor is a variance, not a standard deviation": np.maximum(squares, floor**2),
                "it is one variance for all pixels": np.full_like(best, max(squares.mean(), floor)),
            }.items():  # fmt: skip
                if np.allclose(got, value, rtol=1e-4, atol=0):
                    raise Wrong(f"{where}, the variances: {mistake}")
            raise Wrong(f"{where}, the variances are {off(got, best)}")
        expected = _cost(errors, best)
        if close(cost, expected):
            continue
        constant = len(best) / 2 * np.log(2 * np.pi)
        spread = (squares / best).sum() / 2
        for mistake, value in {
            "the constant log 2π of the Gaussian is missing": expected - constant,
            "the sign is wrong: that is the log-density": -expected,
            "it is a sum over images": expected * n,
            "it is a mean over pixels": expected / len(best),
            "a pixel on the floor has an error below it: its square over v is not 1": expected - spread + len(best) / 2,
            "the squared errors over v are missing": expected - spread,
            "the half is missing": 2 * expected,
        }.items():
            if close(cost, value):
                raise Wrong(f"{where}, the cost: {mistake}")
        raise Wrong(f"{where}, the cost is {off(cost, expected)}")


def _pass(likelihood, logits, x):
    """The package's losses (n,) and slopes (n, D)."""
    losses, slopes = np.empty(len(x)), logits.copy()  # n; n, D
    likelihood.loss_and_slope(slopes, x, losses)
    return losses, slopes


def _cost(errors, v):
    """The mean over images of -log N(errors; 0, v)."""
    pixels = Gaussian(variance="per_pixel", floor=1e-30)(np.tile(np.concatenate([0 * v, np.log(v)]), (len(errors), 1)))
    return -pixels.log_prob(errors).mean()
