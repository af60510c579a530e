"""Judges of lesson 11: a map of equal masses, whitened codes, and the noise that suits a decoder's slopes."""

import numpy as np
import scipy.special

from tinyvae.distributions import DiagonalGaussian
from tinyvae.exercises.contract import Wrong, array, call, close, off, several

__all__ = ["equal_mass_codes", "whiten", "best_noise"]

PRIORS = {
    "N(0, 1)": scipy.special.ndtri,
    "N(2, 0.25)": lambda u: 2 + 0.5 * scipy.special.ndtri(u),
    "a logistic prior": lambda u: np.log(u) - np.log1p(-np.asarray(u)),
    "an exponential prior, from 0 on": lambda u: -np.log1p(-np.asarray(u)),
}


def equal_mass_codes(answer):
    """Judge the grid for several priors and sizes.

    Parameters
    ----------
    answer : callable
        (quantile, n_side) -> codes (n_side^2, 2).

    Raises
    ------
    Wrong
        If a code is elsewhere; the message says of which prior.
    """
    for (name, quantile), n_side in zip(PRIORS.items(), (5, 4, 7, 2)):
        where = f"for {name}, n_side = {n_side}"
        with np.errstate(divide="ignore", invalid="ignore"):
            value = call(answer, quantile, n_side)
            middles = (np.arange(n_side) + 0.5) / n_side
            expected = _grid(quantile(middles))
            if np.shape(value) == expected.shape and np.asarray(value).dtype.kind == "f" and np.isinf(value).any():
                raise Wrong(f"{where} there are infinite codes: is the quantile asked at 0 or at 1?")
            got = array(value, expected.shape, "the codes")
            if close(got, expected):
                continue
            ends = quantile(middles[[0, -1]])
            sides = {
                "the steps are equal in z: are they to be equal in probability?": np.linspace(*ends, n_side),
                "each code stands for a part of (0, 1), but not for as much of it as the others: the first and the "
                "last part have another width": quantile(np.arange(1, n_side + 1) / (n_side + 1)),
                "that are probabilities, not yet codes": middles,
            }
        for mistake, side in sides.items():
            if close(got, _grid(side)):
                raise Wrong(f"{where}: {mistake}")
        square = expected.reshape(n_side, n_side, 2)
        for mistake, other in {
            "z_2 grows from top to bottom": square[::-1],
            "z_1 grows from right to left": square[:, ::-1],
            "the two latents are exchanged": square[..., ::-1],
            "rows and columns are exchanged": square.swapaxes(0, 1),
            "rows and columns are exchanged, or the first code is not at the top": square[::-1].swapaxes(0, 1),
        }.items():
            if close(got, other.reshape(-1, 2)):
                raise Wrong(f"{where}: {mistake}")
        if close(np.sort(got, axis=0), np.sort(expected, axis=0)):
            raise Wrong(f"{where}: the numbers are right, their order is not that of reading")
        raise Wrong(f"{where} the codes are {off(got, expected)}: what share of the prior lies below each?")


def _grid(side):
    """Codes (n^2, 2) in reading order from those of a side, upwards."""
    across, up = np.meshgrid(side, np.asarray(side)[::-1])
    return np.stack([across, up], axis=-1).reshape(-1, 2)


def whiten(answer):
    """Judge the two maps by what they do; any of the many right ones passes.

    Parameters
    ----------
    answer : callable
        codes (n, K) -> mean (K,), A (K, K), B (K, K).

    Raises
    ------
    Wrong
        If mean or covariance are others, or B does not undo A.
    """
    rng = np.random.default_rng(3)
    for n, K in ((50, 2), (40, 3), (12, 1), (300, 5)):
        codes = rng.standard_normal((n, K)) @ rng.normal(0, 2, (K, K)) + rng.normal(0, 3, K)  # n, K
        where, m = f"for {n} codes of {K} numbers", codes.mean(axis=0)
        parts = several(call(answer, codes), 3, "the result (mean, A, B)")
        shapes = {"the mean": (K,), "A": (K, K), "B": (K, K)}
        mean, A, B = (array(part, shape, name) for part, (name, shape) in zip(parts, shapes.items()))
        if not close(mean, m):
            raise Wrong(f"{where} the mean is {off(mean, m)}: over which axis?")
        C = np.atleast_2d(np.cov(codes.T))
        found, identity = A.T @ C @ A, np.eye(K)
        if not close(found, identity):
            for mistake, right in {
                "(codes - m) @ A.T would be white: A is the wrong way round": close(A @ C @ A.T, identity),
                "the variances are 1, but the numbers of a code are still correlated":
                    close(np.diag(found), np.ones(K)) and K > 1,
                "it is divided by n, where n - 1 is asked": close(found, identity * n / (n - 1), 1e-6),
                "the covariance comes out squared: A multiplies by a root where it should divide":
                    close(np.sort(np.linalg.eigvalsh(found)), np.sort(np.linalg.eigvalsh(C @ C))),
                "that takes variances for standard deviations: a root is missing":
                    close(np.sort(np.linalg.eigvalsh(found)), np.sort(1 / np.linalg.eigvalsh(C))),
                "A does nothing": close(A, identity),
            }.items():  # fmt: skip
                if right:
                    raise Wrong(f"{where}: {mistake}")
            raise Wrong(f"{where} the covariance of (codes - m) @ A is not I: it is {off(found, identity)}")
        if not close(A @ B, identity):
            if close(A @ B.T, identity):
                raise Wrong(f"{where}: B is transposed")
            if close(B, A):
                raise Wrong(f"{where}: B is A once more, but it has to undo it")
            raise Wrong(f"{where}: B does not undo A: A @ B is {off(A @ B, identity)}")


def best_noise(answer):
    """Judge the log-variances by the loss's minimum and the costs by its height.

    Parameters
    ----------
    answer : callable
        (slopes, s) -> logvar (K,), costs (K,).

    Raises
    ------
    Wrong
        If the loss is less elsewhere, or the costs are off.
    """
    rng = np.random.default_rng(4)
    for D, K, s in ((6, 2, 0.2), (3, 4, 1.0), (10, 1, 0.05), (5, 3, 2.5)):
        J = rng.normal(0, 0.7, (D, K))  # D, K
        J[:, 0] = 0 if K == 4 else J[:, 0]
        where = f"for D = {D}, K = {K}, s = {s:g}"
        squares = (J**2).sum(axis=0)  # K
        precision = 1 + squares / s**2
        parts = several(call(answer, J, s), 2, "the result (logvar, costs)")
        logvar, costs = array(parts[0], (K,), "logvar"), array(parts[1], (K,), "the costs")
        best = -np.log(precision)  # K
        if np.abs(logvar - best).max() > 1e-4:
            for mistake, value in {
                "these are variances, not their logarithms": 1 / precision,
                "these are logarithms of standard deviations": best / 2,
                "the sign is wrong: noise grows with the slope": -best,
                "s stands where its square belongs": -np.log(1 + squares / s),
                "the KL's pull to variance 1 is missing: what if a slope is 0?":
                    -np.log(np.maximum(squares, 1e-300) / s**2),
                "the slope's length stands where its square belongs": -np.log(1 + np.sqrt(squares) / s**2),
                "s has no effect": -np.log(1 + squares),
                "it is a mean over pixels, where a sum is asked": -np.log(1 + squares / D / s**2),
                "a factor of two: compare the halves of the two terms": -np.log(1 + 2 * squares / s**2),
                "a factor of two: where are the halves of the two terms?": -np.log(1 + squares / (2 * s**2)),
            }.items():  # fmt: skip
                if np.abs(logvar - value).max() < 1e-6 * max(1, np.abs(value).max()):
                    raise Wrong(f"{where}, logvar: {mistake}")
            more = _loss(logvar, squares, s) - _loss(best, squares, s)
            raise Wrong(f"{where}: at that logvar the loss is {more.max():.3g} nats above its least value")
        expected = _loss(best, squares, s) - _loss(np.zeros(K), 0 * squares, s)  # K
        if np.abs(costs - expected).max() <= 1e-4 * max(1, expected.max()):
            continue
        kl = DiagonalGaussian(np.zeros((K, 1)), best[:, None]).kl()  # K
        for mistake, value in {
            "the half is missing": 2 * expected,
            "that is the KL alone: the reconstruction pays for the noise, too": kl,
            "that is the reconstruction's share alone: the KL pays, too": expected - kl,
            "the sign is wrong: a slope costs": -expected,
            "these are bits, not nats": expected / np.log(2),
        }.items():
            if np.abs(costs - value).max() < 1e-6 * max(1, np.abs(value).max()):
                raise Wrong(f"{where}, the costs: {mistake}")
        raise Wrong(f"{where}, the costs are {off(costs, expected)}")


def _loss(logvar, squares, s):
    """What the loss says of each latent's noise, nats: (K,)."""
    return np.exp(logvar) * squares / (2 * s**2) + DiagonalGaussian(np.zeros((len(logvar), 1)), logvar[:, None]).kl()
