"""Judges of lesson 08: a frozen parabola, antithetic pairs, and a slope that the other samples tell."""

import numpy as np

from tinyvae.check import gauss_hermite
from tinyvae.exercises.contract import Wrong, array, call, close, off

__all__ = ["frozen_parabola", "leave_one_out_in_pairs", "slope_from_the_others"]

# f, f', f'', f''' of a number or an array.
FUNCTIONS = {
    "z^3": (lambda z: z**3, lambda z: 3 * z**2, lambda z: 6 * z, lambda z: 6 + 0 * z),
    "sin(1.3 z)": (
        lambda z: np.sin(1.3 * z),
        lambda z: 1.3 * np.cos(1.3 * z),
        lambda z: -(1.3**2) * np.sin(1.3 * z),
        lambda z: -(1.3**3) * np.cos(1.3 * z),
    ),
    "exp(z / 2)": (
        lambda z: np.exp(z / 2),
        lambda z: np.exp(z / 2) / 2,
        lambda z: np.exp(z / 2) / 4,
        lambda z: np.exp(z / 2) / 8,
    ),
}


def frozen_parabola(answer):
    """Judge the delta method's samples.

    Parameters
    ----------
    answer : callable
        The reader's function.

    Raises
    ------
    Wrong
        If a sample of a case differs.
    """
    eps = np.random.default_rng(81).standard_normal(7)  # S
    for mu, sigma in ((1.0, 1.0), (0.7, 0.5), (-0.4, 1.6)):
        for name, (f, slope, bend, third) in FUNCTIONS.items():
            place = f"f = {name}, mu = {mu}, sigma = {sigma}"
            got = array(call(answer, f, slope, bend, mu, sigma, eps), (len(eps),), f"the result for {place}")
            moved, score = sigma * eps, eps / sigma  # S; S
            tangent, square = f(mu) + slope(mu) * moved, bend(mu) * moved**2  # S; S
            rest, back = f(mu + moved) - tangent - square / 2, slope(mu)  # S
            right = rest * score + back  # S
            if close(got, right, 1e-5):
                continue
            through = sigma**2 * third(mu) / 2
            half, scored = rest - square / 2, rest * score
            mistakes = (
                (right + through, "the gradient goes through c's coefficients as well: which of c's two mu is held?"),
                (scored, "c is subtracted, but the derivative of its mean is not given back: equation (3)"),
                (scored - back, "the derivative of c's mean is given back with the wrong sign: equation (3)"),
                (half * score + back, "the bend enters twice as large as in a Taylor parabola"),
                ((rest + square / 2) * score + back, "c is the tangent only, where is the parabola?"),
                (rest * eps + back, "the score of z for mu is not eps: right at sigma = 1 only"),
                (rest * moved + back, "the score of z for mu has sigma in the wrong place: right at sigma = 1 only"),
                ((f(mu + moved)) * score, "nothing is subtracted: it is the plain score function"),
                (slope(mu + moved), "it is the reparameterization: its noise is that of f', with no control variate"),
                (
                    right + bend(mu) * moved,
                    "right on average, but what is given back is drawn, where c's mean is known",
                ),
                (right - bend(mu) * sigma**2 / 2, "the mean of c is given back, not its derivative in the mean of q"),
            )
            _name(got, mistakes, place)
            raise Wrong(f"{place}: {off(got, right)}; is c = f where z = mu, and the mean of the samples the gradient?")


def leave_one_out_in_pairs(answer):
    """Judge leave-one-out for antithetic noise: exact means by quadrature over the pairs, then the noise.

    Parameters
    ----------
    answer : callable
        The reader's function.

    Raises
    ------
    Wrong
        If a mean is not the gradient, or nothing is gained.
    """
    for pairs, mu, sigma in ((2, 1.0, 1.0), (3, 0.4, 0.7)):
        half, weights = gauss_hermite(5, pairs)  # N, S/2; N
        eps = np.concatenate([half, -half], axis=1).T  # S, B = N
        z = mu + sigma * eps  # S, B
        f = z**3 - z**2 + 20 + 3 * z
        score = np.stack([eps / sigma, (eps**2 - 1) / 2], axis=-1)  # S, B, 2
        got = array(call(answer, f, score), score.shape, f"the result for S = {2 * pairs}")
        place = f"S = {2 * pairs}, mu = {mu}, sigma = {sigma}"
        estimates = got.mean(axis=0)  # B, 2
        true = np.array([3 * mu**2 + 3 * sigma**2 - 2 * mu + 3, sigma**2 * (6 * mu - 2) / 2])  # 2
        plain = (f[..., None] * score).mean(axis=0)  # B, 2
        _pairs_mistakes(estimates, f, score, place)
        mean = weights @ estimates  # 2
        if not close(mean, true, 1e-5):
            which = ["mu", "logvar"][int(np.argmax(np.abs(mean - true)))]
            raise Wrong(
                f"{place}: the mean of d/d{which} is {off(mean, true)}: which samples know something of sample s?"
            )
        noise, before = weights @ (estimates - true) ** 2, weights @ (plain - true) ** 2  # 2; 2
        if not noise[1] < 0.5 * before[1]:
            gain = f"the variance of d/dlogvar is {noise[1] / before[1]:.2g} times the plain score function's"
            raise Wrong(f"{place}: right on average, but {gain}: what do the other pairs say of f's level?")


def _pairs_mistakes(estimates, f, score, place):
    """Raise if the estimates, (B, 2), are those of a typical mistake. f (S, B), score (S, B, 2)."""
    S, level = len(f), f.sum(axis=0)  # B

    def estimate(baseline):
        return ((f - baseline)[..., None] * score).mean(axis=0)  # B, 2

    pair = np.roll(f, S // 2, axis=0)  # S, B
    neighbour = f.reshape(S // 2, 2, -1)[:, ::-1].reshape(f.shape)  # S, B
    mistakes = (
        (estimate((level - f) / (S - 1)), "the mirror image is among the others: is it independent of its sample?"),
        (estimate(level / S), "the own sample is in its baseline: d/dlogvar is too small"),
        (estimate((level - f - pair) / (S - 1)), "the baseline is a sum divided by too many: how many are left?"),
        (estimate((level - f - pair) / S), "the baseline is a sum divided by too many: how many are left?"),
        (estimate(level - f - pair), "the baseline is a sum of the others, not their mean"),
        (
            estimate((level - f - neighbour) / (S - 2)),
            "sample 0's mirror image is not sample 1: see how they are laid out",
        ),
        (estimate(0.0 * f), "nothing is subtracted: it is the plain score function"),
        (estimate(pair), "the mirror image is the baseline: is it independent of its sample?"),
        (estimate(2 * f - (level - f - pair) / (S - 2)), "the sign is wrong"),
        (S * estimate((level - f - pair) / (S - 2)), "S times too large: the estimate is the mean over S, not the sum"),
        (estimate((level - f - pair) / (S - 2)) / S, "S times too small: the estimate is the mean over S already"),
    )
    _name(estimates, mistakes, place)


def slope_from_the_others(answer):
    """Judge the slope that the others tell: one own f at a time, then means and variances over many distributions.

    Parameters
    ----------
    answer : callable
        The reader's function.

    Raises
    ------
    Wrong
        If a sample's b or beta knows its f, a mean is not the gradient, or the noise is not below leave-one-out's.
    """
    rng = np.random.default_rng(83)
    S = 8
    eps, sigma = rng.standard_normal((S, 5)), np.array([1.0, 0.5, 2.0, 0.8, 1.3])  # S, B; B
    f = (1 + sigma * eps + 3) ** 2  # S, B
    before = array(call(answer, f, eps, sigma), f.shape)
    for s in (0, 3, S - 1):
        moved = f.copy()
        moved[s] += 2.0
        after = array(call(answer, moved, eps, sigma), f.shape)
        gained, due = after[s] - before[s], 2.0 * eps[s] / sigma  # B; B
        if close(gained, due, 1e-4):
            continue
        if close(gained, -due, 1e-4):
            raise Wrong("the sign is wrong: a sample's f is subtracted")
        if close(gained, due * sigma, 1e-4):
            raise Wrong("the score of z for mu is not eps: right at sigma = 1 only")
        if close(gained, due / S, 1e-4):
            raise Wrong("S times too small: the estimate is the mean over S already")
        changes = f"what its contribution gains is {off(gained, due)}, compared with the score"
        raise Wrong(f"when 2 is added to f of sample {s} alone, {changes}: its b or its beta knows its own f")
    names = ("(z + 3)^2", lambda z: (z + 3) ** 2), ("z^3 + 10", lambda z: z**3 + 10)
    for name, function in names:
        for width in (1.0, 0.5, 2.0):
            _judge_noise(answer, name, function, width, rng)


def _judge_noise(answer, name, function, width, rng, S=8, B=20_000):
    """Raise unless the mean over B repetitions is the gradient, within 5 standard errors, and quiet on a bowl."""
    eps, sigma = rng.standard_normal((S, B)), np.full(B, width)  # S, B; B
    f, score = function(1 + width * eps), eps / width  # S, B; S, B
    got = array(call(answer, f, eps, sigma), f.shape).mean(axis=0)  # B
    plain = ((f - (f.sum(axis=0) - f) / (S - 1)) * score).mean(axis=0)  # B
    true, place = (8.0 if name[0] == "(" else 3 + 3 * width**2), f"f = {name}, mu = 1, sigma = {width:g}"
    error = got.std() / np.sqrt(B)
    if abs(got.mean() - true) > 5 * error + 1e-5 * abs(true):
        if name[0] == "(" and abs(got.mean()) < max(0.05 * true, 5 * error):
            raise Wrong(f"{place}: the mean is 0: beta is taken away and not given back")
        found = f"the mean is {off(got.mean(), true)}"
        if width != 1:
            raise Wrong(f"{place}: {found}, and was right at sigma = 1: is beta for z, or for eps?")
        raise Wrong(f"{place}: {found}: what is given back, and does what a sample subtracts know it?")
    ratio = got.var() / plain.var()
    if name[0] == "(" and width <= 1 and ratio > 0.9:
        words = "leave-one-out's" + (": is there a beta?" if abs(ratio - 1) < 0.05 else "")
        raise Wrong(f"{place}: right on average, but its variance is {ratio:.2g} times {words}")


def _name(got, mistakes, place):
    """Raise for the first mistake, (array, words), that gives the result."""
    for mistaken, words in mistakes:
        if close(got, mistaken, 1e-5):
            raise Wrong(f"{place}: {words}")
