"""The judges of lesson 09: four estimators, three kinds of noise, and the price."""

import math

import numpy as np

from tinyvae.exercises.contract import Wrong, array, call, close, off

__all__ = ["measure_valued_dmu", "gain_of_pairs", "dimension_of_takeover"]

EPS = np.linspace(-9, 9, 1801)  # the sums over it are exact to rounding for all that is asked here
WEIGHTS = np.exp(-(EPS**2) / 2) / np.exp(-(EPS**2) / 2).sum()
X, W = np.polynomial.legendre.leggauss(200)
HALF = 4.5 * (X + 1)
RAYLEIGH = W * HALF * np.exp(-(HALF**2) / 2) / (W * HALF * np.exp(-(HALF**2) / 2)).sum()


def measure_valued_dmu(answer):
    """Judge draws of the measure-valued derivative for mu.

    Parameters
    ----------
    answer : callable
        f, mu, sigma, W, W2 -> array (n,).

    Raises
    ------
    Wrong
        If the draws are others.
    """
    rng = np.random.default_rng(9)
    right_side, left_side = rng.rayleigh(size=6), rng.rayleigh(size=6)
    for name, f, mu, sigma in (("exp(z / 2)", _growth, 0.3, 1.7), ("sin z", np.sin, -1.0, 0.4)):
        got = array(call(answer, f, mu, sigma, right_side, left_side), (6,), f"the estimates for f = {name}")
        up, down, down_coupled = f(mu + sigma * right_side), f(mu - sigma * left_side), f(mu - sigma * right_side)
        right = (up - down) / (sigma * math.sqrt(2 * math.pi))
        if close(got, right, 1e-5):
            continue
        where = f"for f = {name}, mu = {mu}, sigma = {sigma}"
        mistakes = {
            "sigma is missing in the factor: look at dq/dmu": right * sigma,
            "the factor's root is missing: look at what makes u exp(-u^2 / 2) a density": right
            * math.sqrt(2 * math.pi),
            "there is no factor at all in front of the difference": right * sigma * math.sqrt(2 * math.pi),
            "pi in the factor should come with a 2": right * math.sqrt(2),
            "the root in the factor is missing, 2 pi stands there itself": right / math.sqrt(2 * math.pi),
            "the root in the factor is on the wrong side of the fraction": right * 2 * math.pi,
            "sigma is squared in the factor: look at the width of dz = sigma du": right / sigma,
            "the sign is reversed: which side of mu gains probability when mu grows?": -right,
            "W2 is not used: both sides are moved by W": (up - down_coupled) / (sigma * math.sqrt(2 * math.pi)),
            "the two values are added": (up + down) / (sigma * math.sqrt(2 * math.pi)),
            "the steps from mu are not scaled by sigma": (f(mu + right_side) - f(mu - left_side))
            / (sigma * math.sqrt(2 * math.pi)),
            "W and W2 have changed places": (f(mu + sigma * left_side) - f(mu - sigma * right_side))
            / (sigma * math.sqrt(2 * math.pi)),
        }
        for mistake, value in mistakes.items():
            if close(got, value, 1e-5):
                raise Wrong(f"{where}: {mistake}")
        raise Wrong(f"{where}: {off(got, right)}; look at both places where f is asked for, and at the factor")


def gain_of_pairs(answer):
    """Judge the ratio of two independent draws' variance to an antithetic pair's.

    Parameters
    ----------
    answer : callable
        g -> ratio.

    Raises
    ------
    Wrong
        If it is off by more than 1e-4 of its size.
    """
    for name, g in (("-sin(0.8 + eps)", _shifted), ("eps^2", np.square), ("exp(eps / 2) + eps", _mixed)):
        got = float(array(call(answer, g), what=f"the ratio for g = {name}"))
        even = (g(EPS) + g(-EPS)) / 2
        single, pair = (WEIGHTS @ v**2 - (WEIGHTS @ v) ** 2 for v in (g(EPS), even))
        right = single / 2 / pair
        if close(got, right, 1e-4):
            continue
        odd = WEIGHTS @ ((g(EPS) - g(-EPS)) / 2) ** 2
        mistakes = {
            "a pair is two draws: compare with the mean of two independent ones, not with one": 2 * right,
            "a pair's variance is halved once too often, or that of two draws not at all": 4 * right,
            "half of it is missing: look at the variance of the mean of two draws": right / 2,
            "this is the ratio turned round": 1 / right,
            "one draw and a pair, and the ratio turned round": 1 / (2 * right),
            "mean squares, not variances: look at the means": (WEIGHTS @ g(EPS) ** 2) / 2 / (WEIGHTS @ even**2),
            "the even and the odd part have changed places: which of them does a pair cancel?": single / 2 / odd
            if odd > 0
            else math.nan,
        }
        for mistake, value in mistakes.items():
            if close(got, value, 1e-4):
                raise Wrong(f"for g = {name}: {mistake}")
        if abs(got / right - 1) < 0.1:
            raise Wrong(f"for g = {name}: {off(got, right)}: near, but 1e-4 is asked; random numbers do not get there")
        raise Wrong(f"for g = {name}: {off(got, right)}; look at what is left of a pair's mean")


def dimension_of_takeover(answer):
    """Judge the dimension from which the reparameterization is no dearer than differences.

    Parameters
    ----------
    answer : callable
        f, slope, mu, sigma, slope_price -> int.

    Raises
    ------
    Wrong
        If it is another.
    """
    for name, f, slope, mu, sigma, price in (
        ("cos(2 z)", _wave, _wave_slope, 0.7, 0.9, 3.0),
        ("exp(-2 z^2)", _bump, _bump_slope, -0.3, 0.6, 3.0),
        ("z^2", np.square, _bowl_slope, 3.0, 1.0, 2.0),
        ("cos(2 z)", _wave, _wave_slope, -0.3, 0.6, 5.0),
    ):
        where = f"for f = {name}, mu = {mu}, sigma = {sigma}, slope_price = {price:g}"
        found = float(array(call(answer, f, slope, mu, sigma, price), what=f"K {where}"))
        if found != round(found) or found < 1:
            raise Wrong(f"K {where} must be a whole number from 1 on, got {found:g}")
        slopes, up, down = slope(mu + sigma * EPS), f(mu + sigma * HALF), f(mu - sigma * HALF)
        gradient, factor = WEIGHTS @ slopes, 1 / (2 * np.pi * sigma**2)
        path, square = WEIGHTS @ slopes**2 - gradient**2, factor * (RAYLEIGH @ (up - down) ** 2)
        pair = square - gradient**2
        right = _least(price * path / (2 * pair))
        if found == right:
            continue
        apart = factor * sum(RAYLEIGH @ v**2 - (RAYLEIGH @ v) ** 2 for v in (up, down))
        mistakes = {
            "each difference is counted with one value: look at how often f is asked for": price * path / pair,
            "each difference is counted with four values; d/dlogvar is not asked": price * path / (4 * pair),
            "the slope's price is left out": path / (2 * pair),
            "the slope is counted with a value more than slope_price": (price + 1) * path / (2 * pair),
            "these are mean squares, not variances": price * (path + gradient**2) / (2 * square),
            "this is the uncoupled pair: W moves both sides": price * path / (2 * apart),
            "sigma is missing in the measure-valued factor": price * path / (2 * (square * sigma**2 - gradient**2)),
        }
        for mistake, value in mistakes.items():
            if value > 0 and found == _least(value):
                raise Wrong(f"{where}: {mistake}")
        if found == right - 1:
            raise Wrong(f"{where}: one too few, there the reparameterization is still dearer; look at the rounding")
        if found == right + 1:
            raise Wrong(f"{where}: one too many; the smallest K is asked")
        raise Wrong(f"{where}: {off(found, right)}; look at the two variances of one coordinate, and at both prices")


def _least(ratio):
    """The smallest whole number from 1 on that is not below the ratio."""
    return max(1, math.ceil(ratio)) if math.isfinite(ratio) else -1


def _growth(z):
    return np.exp(np.asarray(z) / 2)


def _shifted(eps):
    return -np.sin(0.8 + np.asarray(eps))


def _mixed(eps):
    return np.exp(np.asarray(eps) / 2) + np.asarray(eps)


def _wave(z):
    return np.cos(2 * np.asarray(z))


def _wave_slope(z):
    return -2 * np.sin(2 * np.asarray(z))


def _bump(z):
    return np.exp(-2 * np.asarray(z) ** 2)


def _bump_slope(z):
    return -4 * np.asarray(z) * _bump(z)


def _bowl_slope(z):
    return 2 * np.asarray(z)
