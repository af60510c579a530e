"""The judges of lesson 06: shape, dimension, number of samples."""

import numpy as np

from tinyvae.distributions import DiagonalGaussian
from tinyvae.distributions.gaussian import gauss_hermite
from tinyvae.exercises.contract import Wrong, array, call, close, off

__all__ = ["crossing_of_a_sine", "variance_in_many_dimensions", "own_term_score"]

EPS = np.linspace(-9, 9, 1201)  # the sums over it are exact to rounding for all that is asked here
WEIGHTS = np.exp(-(EPS**2) / 2) / np.exp(-(EPS**2) / 2).sum()


def crossing_of_a_sine(answer):
    """Judge the k at which the variances of d/dmu on sin(k z) cross.

    Parameters
    ----------
    answer : callable
        mu -> k.

    Raises
    ------
    Wrong
        If a k is off by more than 1e-3.
    """
    places = 0.7, 0.0, -1.6, 1.3
    found = [float(array(call(answer, mu), what=f"the crossing at mu = {mu}")) for mu in places]
    if max(found) - min(found) < 1e-6:
        raise Wrong(
            f"k = {found[0]:.6g} for every mu, but where the curves cross depends on mu; look at both variances"
        )
    for mu, got in zip(places, found):
        right = _crossing(mu)
        if abs(got - right) <= 1e-3:
            continue
        for mistake, options in (
            ("this is where the curves of cos(k z) cross: look at f", {"shift": np.pi / 2}),
            ("this is the crossing for d/dlogvar: look at the factors dz/dlambda and the score", {"logvar": True}),
            ("this is the crossing for a score function with the baseline E[f]: take none", {"baseline": True}),
        ):
            if abs(got - _crossing(mu, **options)) <= 2e-3:
                raise Wrong(f"at mu = {mu}: {mistake}")
        if not got > 0:
            raise Wrong(f"at mu = {mu}: k must be positive, got {got:g}")
        paths, scores = _variances(mu, np.array([got]))
        side = "larger" if paths[0] > scores[0] else "smaller"
        if abs(got - right) < 0.01:
            raise Wrong(f"at mu = {mu}: close, but off by more than 1e-3; look at the grid, or bisect longer")
        raise Wrong(
            f"at mu = {mu}: at your k = {got:.4g} the reparameterization's variance is {side} than the score "
            "function's, and the first crossing is elsewhere; look at both variances as functions of k"
        )


def variance_in_many_dimensions(answer):
    """Judge the variance of the score function's d/dlogvar_1 in K dimensions.

    Parameters
    ----------
    answer : callable
        K, a -> variance.

    Raises
    ------
    Wrong
        If it is off by more than 1e-6 of its size.
    """
    for K, a in ((1, 4.0), (2, 1.0), (50, 4.0), (7, -2.5), (200, 0.3)):
        got, right = float(array(call(answer, K, a), what=f"the variance at K = {K}, a = {a}")), _variance(K, a)
        if close(got, right, 1e-6):
            continue
        here = f"at K = {K}, a = {a}"
        one, half = _variance(1, a), _score_second_moment()
        mistakes = {
            "the variance is a mean square less the squared mean: look at what is subtracted": right + 1.0,
            "this is the derivative for sigma: look at what a step of logvar does to sigma": 4 * right,
            "this is d/dmu: look at the score for logvar": _variance(K, a, EPS, 2 * a),
        }
        if K > 1:
            m, v = a * a + 1, 4 * a * a + 2
            mistakes |= {
                "this is the variance in one dimension: look at what the other terms of f multiply": one,
                "the product of the first term and the rest is missing: look at the square of their sum": right
                - 2 * m * (K - 1) * _first_moment(a),
                "the rest's mean square is more than its variance: look at its mean": right - half * (m * (K - 1)) ** 2,
                "the rest's mean square is more than its squared mean: look at its variance": right
                - half * v * (K - 1),
                "K terms make up the rest; look at how many are left beside the first": _variance(K + 1, a),
                "this grows like K: it is the variance with the baseline E[f], where none is wanted": _centred(K, a),
            }
        for mistake, value in mistakes.items():
            if close(got, value, 1e-6):
                raise Wrong(f"{here}: {mistake}")
        if K > 1:
            raise Wrong(
                f"{here}: {off(got, right)}, though K = 1 is right: look at the terms that come with the rest of f"
            )
        raise Wrong(f"{here}: {off(got, right)}; look at the moments of eps, up to the eighth")


def own_term_score(answer):
    """Judge a score function that multiplies each score by what it can change.

    Parameters
    ----------
    answer : callable
        q, terms, eps -> array (S, B, 2K).

    Raises
    ------
    Wrong
        If it is biased, of another shape, or its variance grows with K.
    """
    rng = np.random.default_rng(6)
    q = DiagonalGaussian(rng.normal(size=(2, 3)), rng.normal(size=(2, 3)) * 0.6)
    eps = rng.standard_normal((4, 2, 3))
    got = array(call(answer, q, _terms, eps), (4, 2, 6), "the gradient")
    if close(got, _own(q, eps), 1e-4):
        return
    mu, logvar = np.split(_own(q, eps), 2, axis=-1)
    plain = _terms(q.sample(eps)).sum(axis=-1, keepdims=True) * q.score(q.sample(eps))
    for mistake, value in {
        "unbiased, but every score is multiplied by all of f, so that the variance grows with K": plain,
        "every score is multiplied by the mean of the terms, which is neither all of f nor its own": plain / 3,
        "the first K columns belong to mu, the last K to logvar: they are exchanged": np.concatenate([logvar, mu], -1),
        "mu and logvar alternate; they belong side by side, first all of mu": np.stack([mu, logvar], -1).reshape(
            4, 2, 6
        ),
        "the part for logvar is twice too large: look at what a step of logvar does to sigma": np.concatenate(
            [mu, 2 * logvar], axis=-1
        ),
        "the derivative for sigma, where that for logvar is asked: look at dsigma/dlogvar": np.concatenate(
            [mu, 2 * logvar / q.std], axis=-1
        ),
        "sigma is missing in the score for mu": np.concatenate([mu * q.std, logvar], axis=-1),
        "the score for mu is divided by the variance, where eps has already been divided once": np.concatenate(
            [mu / q.std, logvar], axis=-1
        ),
        "the sign is reversed": -_own(q, eps),
    }.items():
        if close(got, value, 1e-4):
            raise Wrong(mistake)
    nodes, weights = gauss_hermite(14, 2)  # 196, 2; 196
    q = DiagonalGaussian(np.array([[0.4, -0.7]]), np.array([[0.5, -0.8]]))
    nodes = nodes[:, None]  # 196, 1, 2
    mean = np.tensordot(weights, array(call(answer, q, _terms, nodes), (196, 1, 4), "the gradient"), 1)[0]
    truth = np.tensordot(weights, _own(q, nodes), 1)[0]
    for part, block in (("mu", slice(0, 2)), ("logvar", slice(2, 4))):
        if not close(mean[block], truth[block], 1e-4):
            raise Wrong(f"biased: the mean of the part for {part} is {off(mean[block], truth[block])}")
    one, many = (_spread_of_first(answer, K) for K in (1, 64))
    if np.any(many > 1.5 * one):
        raise Wrong(
            f"unbiased, but from K = 1 to 64 its variance grows {np.max(many / one):.3g} times: look at the terms"
        )


def _variances(mu, k, shift=0.0, logvar=False, baseline=False):
    """Variances of d/dmu on sin(k z + shift) for k (n,): the reparameterization's and the score function's."""
    angle = k * (mu + EPS[:, None]) + shift
    f, path = np.sin(angle), EPS[:, None] / 2 if logvar else 1.0
    score = (EPS[:, None] ** 2 - 1) / 2 if logvar else EPS[:, None]
    f = f - WEIGHTS @ f if baseline else f
    draws = k * np.cos(angle) * path, f * score
    return [WEIGHTS @ g**2 - (WEIGHTS @ g) ** 2 for g in draws]


def _crossing(mu, **options):
    """The first k at which the reparameterization's variance is no longer the smaller."""
    k = np.linspace(0.02, 6, 600)
    paths, scores = _variances(mu, k, **options)
    first = np.flatnonzero(paths >= scores)[:1]
    if not len(first) or first[0] == 0:
        return np.nan
    low, high = k[first[0] - 1], k[first[0]]
    for _ in range(3):  # 100 times closer each
        k = np.linspace(low, high, 101)
        paths, scores = _variances(mu, k, **options)
        i = max(1, np.argmax(paths >= scores))
        low, high = k[i - 1], k[i]
    return (low + high) / 2


def _variance(K, a, score=None, truth=1.0):
    """The exact variance of the score function's gradient for one coordinate, logvar's by default."""
    score = (EPS**2 - 1) / 2 if score is None else score
    first, others = (a + EPS) ** 2, K - 1
    mean, square = (a * a + 1) * others, (4 * a * a + 2) * others + ((a * a + 1) * others) ** 2
    return float(WEIGHTS @ ((first**2 + 2 * first * mean + square) * score**2)) - truth**2


def _centred(K, a):
    """The same with the baseline E[f]."""
    centred = (a + EPS) ** 2 - a * a - 1
    return float(WEIGHTS @ ((centred**2 + (4 * a * a + 2) * (K - 1)) * ((EPS**2 - 1) / 2) ** 2)) - 1


def _first_moment(a):
    """E[f_1 score^2]."""
    return float(WEIGHTS @ ((a + EPS) ** 2 * ((EPS**2 - 1) / 2) ** 2))


def _score_second_moment():
    return float(WEIGHTS @ ((EPS**2 - 1) / 2) ** 2)


def _terms(z):
    """f_i(z_i), another function for each i."""
    shift = np.linspace(-1, 2, z.shape[-1])
    return (z - shift) ** 2 + 0.5 * z + 3


def _own(q, eps):
    """Each score times its own term."""
    z = q.sample(eps)
    return np.concatenate([_terms(z)] * 2, axis=-1) * q.score(z)


def _spread_of_first(answer, K):
    """The variances of the first coordinate's two derivatives, (2,), over 2,000 samples."""
    eps = np.random.default_rng(7).standard_normal((2000, 1, K))
    q = DiagonalGaussian(np.ones((1, K)), np.zeros((1, K)))
    g = array(call(answer, q, _terms, eps), (2000, 1, 2 * K), "the gradient")
    return g[:, 0, [0, K]].var(axis=0)
