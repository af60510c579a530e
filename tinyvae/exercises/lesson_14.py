"""Judges of lesson 14: a Gaussian's conditional, the acceptance ratio, and the error of endless draws."""

import numpy as np

from tinyvae.exercises.contract import Wrong, array, call, close, off, several

__all__ = ["conditional_gaussian", "log_acceptance", "error_of_endless_draws"]


def conditional_gaussian(answer):
    """Judge the conditional against the precision matrix, which knows it by another formula.

    Parameters
    ----------
    answer : callable
        (mean, cov, x) -> the mean and the covariance of what is missing.

    Raises
    ------
    Wrong
        If one of the two is off.
    """
    for seed, holes in enumerate(((1, 3), (0,), (0, 1, 4))):
        rng = np.random.default_rng(seed)
        D, factor = 5, rng.standard_normal((5, 3))
        mean, cov, x = rng.normal(1, 1, D), factor @ factor.T + 0.4 * np.eye(D), rng.normal(0, 2, D)
        missing = np.isin(np.arange(D), holes)  # D
        x[missing] = np.nan
        H, precision, away = len(holes), np.linalg.inv(cov), (x - mean)[~missing]
        spread = np.linalg.inv(precision[np.ix_(missing, missing)])  # H, H
        center = mean[missing] - spread @ precision[np.ix_(missing, ~missing)] @ away  # H
        parts = several(call(answer, mean, cov, x), 2, "the result (mean, covariance)")
        got, got_cov = array(parts[0], (H,), "the mean"), array(parts[1], (H, H), "the covariance")
        block = cov[np.ix_(missing, ~missing)]  # H, D - H
        gain = np.linalg.solve(cov[np.ix_(~missing, ~missing)], block.T).T  # H, D - H
        for mistake, value in {
            "that is the mean without a look at x: what do the observed coordinates say?": mean[missing],
            "the mean of the observed coordinates is not subtracted from them": center + gain @ mean[~missing],
            "the mean of the missing coordinates is not added": center - mean[missing],
            "the sign of the correction is wrong: coordinates of positive covariance go the same way":
                2 * mean[missing] - center,
            "the mean: the covariance of the observed coordinates is not inverted":
                mean[missing] + block @ cov[np.ix_(~missing, ~missing)] @ away,
            "the mean: only the variances of the observed coordinates are used, not their covariances":
                mean[missing] + block @ (away / np.diag(cov)[~missing]),
            "the mean: the block of the inverse is not the inverse of the block; invert after you have cut out":
                mean[missing] + block @ precision[np.ix_(~missing, ~missing)] @ away,
        }.items():  # fmt: skip
            if close(got, value) and not close(got, center):
                raise Wrong(mistake)
        if not close(got, center):
            raise Wrong(f"the mean is {off(got, center)}, where {H} of {D} coordinates are missing")
        outer = cov[np.ix_(missing, missing)]
        for mistake, value in {
            "that covariance is the one without a look at x: what is observed narrows it": outer,
            "the covariance grows with what is observed: look at a sign": 2 * outer - spread,
            "that is the inverse of the covariance, the precision": np.linalg.inv(spread),
            "the covariance: the block of the inverse is not the inverse of the block; invert after you have cut out":
                outer - block @ precision[np.ix_(~missing, ~missing)] @ block.T,
            "the covariance is that of the mean over x, what is explained; asked is what remains": outer - spread,
        }.items():  # fmt: skip
            if close(got_cov, value) and not close(got_cov, spread):
                raise Wrong(mistake)
        if not close(got_cov, spread):
            raise Wrong(f"the covariance is {off(got_cov, spread)}, where {H} of {D} coordinates are missing")


def log_acceptance(answer):
    """Judge the logarithm of the acceptance ratio, for several sizes.

    Parameters
    ----------
    answer : callable
        (x, z, z_new, mu, logvar, W, m, s) -> the logarithms (B,).

    Raises
    ------
    Wrong
        If they are off.
    """
    for seed, (B, D, K) in enumerate(((6, 4, 2), (3, 2, 3), (4, 5, 1))):
        rng = np.random.default_rng(seed)
        W, m, s = rng.standard_normal((D, K)), rng.standard_normal(D), 0.7 + 0.2 * seed
        x, z, z_new, mu = (rng.standard_normal((B, size)) for size in (D, K, K, K))
        logvar = rng.normal(-0.6, 0.4, (B, K))
        got = array(call(answer, x, z, z_new, mu, logvar, W, m, s), (B,), "the result")

        def change(term):
            return term(z_new) - term(z)  # B

        def data(at):
            return -((x - at @ W.T - m) ** 2).sum(axis=1) / 2  # noqa: B023

        f, prior = change(data), change(lambda at: -(at**2).sum(axis=1) / 2)  # B; B
        by = {
            power: change(lambda at: -((at - mu) ** 2 / np.exp(power * logvar)).sum(axis=1) / 2)  # noqa: B023
            for power in (0, 0.5, 1, 2)
        }
        expected = f / s**2 + prior - by[1]
        if close(got, expected):
            continue
        for mistake, value in {
            "the ratio is upside down: the new z's weight is above the line": -expected,
            "that is the logarithm of the probability, never above 0; asked is that of the ratio":
                np.minimum(expected, 0),
            "that is the ratio; asked is its logarithm": np.exp(expected),
            "that is the probability; asked is the logarithm of the ratio": np.exp(np.minimum(expected, 0)),
            "q is left out, as if it proposed z as often from z_new as z_new from z": f / s**2 + prior,
            "q is above the line: a z that is proposed often must weigh less": f / s**2 + prior + by[1],
            "the prior is left out: w has p(z), too": f / s**2 - by[1],
            "p(x | z) is left out: what does x say of the two?": prior - by[1],
            "s stands where s² belongs": f / s + prior - by[1],
            "the noise s is left out of p(x | z)": f + prior - by[1],
            "logvar is read as the logarithm of a standard deviation": f / s**2 + prior - by[2],
            "the standard deviation stands where q's variance belongs": f / s**2 + prior - by[0.5],
            "q's variance is left out": f / s**2 + prior - by[0],
            "the halves of the exponents are missing": 2 * expected,
        }.items():  # fmt: skip
            if close(got, value):
                raise Wrong(mistake)
        raise Wrong(f"for B = {B}, D = {D}, K = {K} it is {off(got, expected)}")


def error_of_endless_draws(answer):
    """Judge the estimate, against the same number from pairs of draws.

    Parameters
    ----------
    answer : callable
        (draws, truth) -> the estimates (B,).

    Raises
    ------
    Wrong
        If they are off.
    """
    for seed, (S, B, H) in enumerate(((5, 4, 3), (2, 3, 6), (12, 2, 5))):
        rng = np.random.default_rng(seed)
        truth = rng.normal(0, 1, (B, H))  # B, H
        draws = truth + rng.normal(0.4, 1, (B, H)) + rng.standard_normal((S, B, H)) * rng.uniform(0.5, 1.5, (B, H))
        got = array(call(answer, draws, truth), (B,), "the result")
        off_by = draws - truth  # S, B, H
        # Over pairs of two different draws, the product of their errors is right on average.
        total = off_by.sum(axis=0)  # B, H
        expected = ((total**2 - (off_by**2).sum(axis=0)) / (S * (S - 1))).sum(axis=1)  # B
        if close(got, expected):
            continue
        error, var = ((total / S) ** 2).sum(axis=1), draws.var(axis=0, ddof=1).sum(axis=1)  # B; B
        for mistake, value in {
            "that is the error of the mean of these S draws, which has their noise in it": error,
            "that is the error of one draw": (off_by**2).sum(axis=2).mean(axis=0),
            "the noise is added: the mean of more draws errs less, not more": error + var / S,
            "all the draws' variance is subtracted: how much of it is left in a mean of S?": error - var,
            "it is off by a factor in the variance: around their own mean, S draws vary by less than they should":
                error - var * (S - 1) / S**2,
            "it is a mean over pixels, where a sum is asked": expected / H,
            "it is below 0 in truth here and there, and may be: cut off at 0, it is not right on average":
                np.maximum(expected, 0),
            "that is the draws' variance": var,
        }.items():  # fmt: skip
            if close(got, value):
                raise Wrong(mistake)
        raise Wrong(f"for {S} draws it is {off(got, expected)}")
