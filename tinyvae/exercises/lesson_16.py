"""Judges of lesson 16: leave-one-out of many bits, ARM's noise averaged out, a path with the bit held."""

import numpy as np
import scipy.stats

from tinyvae.distributions import Binary
from tinyvae.estimators import Target, arm, disarm
from tinyvae.exercises.contract import Wrong, array, call, close, off

__all__ = ["variance_of_many_samples", "average_out_the_noise", "conditional_path"]

TOLERANCE = 1e-6  # float64's rounding, and float32's numbers: closed forms agree to far less


def variance_of_many_samples(answer):
    """Judge leave-one-out's variance for a bit, against the sum over the number of ones.

    Parameters
    ----------
    answer : callable
        (f0, f1, p, n_samples) -> float.

    Raises
    ------
    Wrong
        If it is not right.
    """
    for f0, f1, p, samples in ((0.0, 1.0, 0.3, 2), (20.0, 21.0, 0.5, 4), (3.0, 1.5, 0.8, 3), (-1.0, 1.3, 0.95, 7)):
        place = f"at f0 = {f0:g}, f1 = {f1:g}, p = {p:g}, S = {samples}"
        got = array(call(answer, f0, f1, p, samples))
        true, mean, difference = _many(f1 - f0, p, samples), p * (1 - p) * (f1 - f0), f1 - f0
        if close(got, true, TOLERANCE):
            continue
        two, odds = _many(difference, p, 2), p * (1 - p)
        mistakes = (
            (two, "does not look at S: it is that of two samples"),
            (2 * two / samples, "is that of S / 2 pairs that know nothing of each other: each sample has S - 1 others"),
            (samples * true, "is S times that of the estimate, the mean over the samples"),
            (true / samples, "has been divided by S once too often"),
            (true * (1 - 1 / samples) ** 2, "is that of a baseline with the sample's own f in it"),
            (true + mean**2, "is a mean square: a variance is less, unless the mean is 0"),
            (np.sqrt(true), "is a standard deviation"),
            (true / difference, "does not grow as it should when f is doubled"),
            (true / difference**2, "does not look at f: it is that of f1 - f0 = 1"),
            (odds * ((1 - p) * f1 + p * f0) ** 2 / samples, "is the score function's: the level of f matters to it"),
            (
                odds * difference**2 * (1 - 2 * p) ** 2 / samples,
                "is what a baseline that is known exactly leaves: the others' mean is itself noisy",
            ),
            (
                2 * odds**2 * difference**2 / (samples - 1),
                "is the textbook's for normal numbers: a bit has another fourth moment",
            ),
        )
        _name(got, mistakes, f"the result {place}")
        raise Wrong(f"the result is {off(got, true)} {place}; ask tinyvae.check.exact_mean")


def average_out_the_noise(answer):
    """Judge the mean of ARM given both samples, of several bits and rows.

    Parameters
    ----------
    answer : callable
        (f, f2, z, z2, logits) -> array (S, B, K).

    Raises
    ------
    Wrong
        If it is not right.
    """
    rng = np.random.default_rng(16)
    target = Target(lambda z: 7 + (z * [1.0, -2.0, 0.5]).sum(axis=-1) + 1.5 * z[..., 0] * z[..., 2])
    for logits in (np.array([[1.2, -0.4, 0.0], [-2.0, 0.7, 3.0]]), np.zeros((1, 3))):
        q = Binary(logits)
        eps = q.noise(rng, 40)  # S, B, K
        z, z2 = q.sample(eps), q.sample(1 - eps)  # S, B, K each
        f, f2 = target(z), target(z2)  # S, B each
        true = disarm(q, target, eps).dparams  # S, B, K
        got = array(call(answer, f, f2, z, z2, logits), true.shape)
        if close(got, true, TOLERANCE):
            continue
        place = "for fair bits" if not logits.any() else "for logits " + np.array2string(logits[0])
        gap, apart, p = (f - f2)[..., None], z - z2, q.probs  # S, B, 1; S, B, K; B, K
        m, alike = np.maximum(p, 1 - p), 1 - np.abs(apart)  # B, K; S, B, K
        given_z = np.where(z > 0.5, 1 - p, -p)  # S, B, K
        mistakes = (
            (2 * true, "is twice what it should be: where is ARM's 1/2?"),
            (true / 2, "is half of what it should be"),
            (-true, "has the wrong sign: which of the two bits has the noise above the middle?"),
            (true.mean(axis=0, keepdims=True) + 0 * true, "is averaged already: one number for each sample is asked"),
            (0.5 * gap * (1 - m) * apart, "is on the other side of m: which is the rarer, that they differ or not?"),
            (0.5 * gap * p * apart, "is right where p > 1/2 only: which of p and 1 - p is it below?"),
            (0.5 * gap * (1 - p) * apart, "is right where p < 1/2 only: which of p and 1 - p is it above?"),
            (0.5 * gap * apart, "is leave-one-out's: it forgets that z2 is made of z's noise"),
            (0.5 * gap * (m * apart + alike * (2 * p - 1)), "is not 0 where both bits are alike: where is the noise?"),
            (0.5 * gap * given_z, "is the mean given z alone: z2 says where the noise is, too"),
            (0.5 * gap * np.maximum(logits, 1 - logits) * apart, "takes the logits for probabilities"),
            (arm(q, target, eps).dparams, "is ARM itself"),
        )
        _name(got, mistakes, f"the result {place}")
        if np.any(np.abs(got[apart == 0]) > 1e-9):
            raise Wrong(f"the result {place} is not 0 where both bits are alike: where is the noise then, on average?")
        raise Wrong(f"the result {place} is {off(got, true)}: given z and z2, what is the mean of 2 eps - 1?")


def conditional_path(answer):
    """Judge the derivative of f(y) with the bit held.

    Parameters
    ----------
    answer : callable
        (slope, logit, temperature, eps) -> array (S,).

    Raises
    ------
    Wrong
        If it is not right.
    """
    eps = np.random.default_rng(161).uniform(0.01, 0.99, 30)  # S
    slopes = {"f = y": np.ones_like, "f = (y - 0.45)^2": lambda y: 2 * (y - 0.45), "f = exp(y)": np.exp}
    for logit, temperature in ((0.0, 1.0), (1.1, 1.0), (-0.8, 0.3), (2.0, 0.7)):
        q, noise = Binary(np.array([[logit]])), eps[:, None, None]
        z, y = (q.sample(noise)[:, 0, 0], q.relaxed(q.odds(noise), temperature)[:, 0, 0])  # S; S
        p = q.probs[0, 0]
        held = q.given_path(np.ones_like(noise), noise)[:, 0, 0]  # S: da/dlambda given z
        swapped = 1 - np.where(z > 0.5, p / (1 - eps), (1 - p) / eps)  # S
        for name, slope in slopes.items():
            place = f"the result for {name}, lambda = {logit:g}, T = {temperature:g},"
            got = array(call(answer, slope, logit, temperature, eps), eps.shape, f"the result for {name}")
            outer = slope(y) * y * (1 - y) / temperature  # S
            true = outer * held
            if close(got, true, TOLERANCE):
                continue
            half = np.where(z > 0.5, held, 1.0), np.where(z < 0.5, held, 1.0)
            mistakes = (
                (outer, "is the path with the noise held: given z, the noise moves, too"),
                (outer * (held - 1), "has the noise's own move only: lambda stands in the odds as well"),
                (outer * (2 - held), "has the noise moving the wrong way: what does a larger p do to 1 - p?"),
                (outer * (1 - held), "is the difference of the two paths: the one with z held is asked"),
                (-true, "has the wrong sign"),
                (true * temperature, "lacks the temperature in dy/da"),
                (true / temperature, "has the temperature once too often"),
                (slope(z) * y * (1 - y) / temperature * held, "has the slope of f at z: f is asked at y"),
                (slope(y) * held / temperature, "lacks y (1 - y), the sigmoid's own slope"),
                (slope(y) * p * (1 - p) * held, "has p in the place of y: what is y's slope in its odds?"),
                (outer * swapped, "has the two cases exchanged: z = 1 where the noise is above 1 - p"),
                (outer * half[0], "is right where z = 1 only"),
                (outer * half[1], "is right where z = 0 only"),
                (held, "is the odds' derivative: that of f(y) is asked"),
                (true.mean() + 0 * true, "is averaged already: one number for each sample is asked"),
            )
            _name(got, mistakes, place)
            worst = "1" if _worst(got, true, z > 0.5) > _worst(got, true, z < 0.5) else "0"
            raise Wrong(f"{place} is {off(got, true)}, most where z = {worst}: a difference quotient with v held tells")


def _many(difference, p, samples):
    """The variance of leave-one-out of S samples of a bit, by the sum over how many of them are 1."""
    ones = np.arange(samples + 1)
    chance = scipy.stats.binom.pmf(ones, samples, p)
    estimates = difference * ones * (samples - ones) / (samples * (samples - 1))
    return chance @ estimates**2 - (chance @ estimates) ** 2


def _worst(got, true, where):
    return np.max(np.abs(got - true)[where], initial=0.0)


def _name(got, mistakes, what):
    """Raise for the first mistake, (array, words), that gives the result."""
    for value, words in mistakes:
        if close(got, value, TOLERANCE):
            raise Wrong(f"{what} {words}")
