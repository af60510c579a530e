"""Problems of bits and of one-hot groups: named ones in closed form, and the certificate's, by enumeration."""

import functools

import numpy as np

from tinyvae import validate
from tinyvae.distributions import Binary, Bits, Categorical, Categories
from tinyvae.estimators import Target
from tinyvae.objectives import ELBO, ImportanceWeighted
from tinyvae.problems.problem import Problem, problem

__all__ = ["one_bit", "coupled_bits", "one_choice", "certified_bits", "certified_groups", "bits_bound", "groups_bound"]


# --- named ------------------------------------------------------------------------------------------------


def one_bit(p=0.75, t=0.45):
    """(z - t)^2 of one bit.

        d/dlogit = p (1 - p) (1 - 2 t)

    Parameters
    ----------
    p : float
        The probability of a 1, between 0 and 1.
    t : float
        Near 1/2 the two states are nearly as good.

    Returns
    -------
    Problem
        One data point, one bit.

    Raises
    ------
    ValueError or TypeError
        For a number that does not fit.
    """
    return coupled_bits(1, p, t)._replace(name="one_bit")


def coupled_bits(n_latents=8, p=0.75, t=3.3):
    """(sum_k z_k - t)^2, of bits that are wanted to add up to t.

        d/dlogit_k = p (1 - p) [1 - 2 p + 2 (sum p - t)]

    Parameters
    ----------
    n_latents : int
        K.
    p : float
        The probability of a 1, between 0 and 1, of each bit.
    t : float
        The sum that is wanted.

    Returns
    -------
    Problem
        One data point, K bits.

    Raises
    ------
    ValueError or TypeError
        For a number that does not fit.
    """
    n, t = validate.integer("n_latents", n_latents, least=1), validate.number("t", t)
    p = validate.number("p", p, least=0, most=1, open_least=True)
    if p == 1:
        raise ValueError("p must be below 1, got 1: such a bit is certain, and its log-odds infinite")
    q = Binary(np.full((1, n), np.log(p) - np.log1p(-p)))
    target = Target(
        lambda z: (z.sum(axis=2) - t) ** 2,
        lambda z: np.broadcast_to(2 * (z.sum(axis=2, keepdims=True) - t), z.shape).copy(),
    )
    return Problem("coupled_bits", q, target, None, np.full((1, n), p * (1 - p) * (1 - 2 * p + 2 * (n * p - t))))


def one_choice(n_ways=10, t=0.45):
    """(w / (W - 1) - t)^2 of one choice w among W ways, 0 to W - 1, the later the more probable: logits w / W.

        d/dlogit_w = p_w (f_w - E[f])

    Parameters
    ----------
    n_ways : int
        W, at least 2.
    t : float
        Which way is best, as a fraction of the last.

    Returns
    -------
    Problem
        One data point, one group.

    Raises
    ------
    ValueError or TypeError
        For a number that does not fit.
    """
    t, n_ways = validate.number("t", t), validate.integer("n_ways", n_ways, least=2)
    values = np.arange(n_ways) / (n_ways - 1.0)
    q = Categorical(np.arange(n_ways)[None] / float(n_ways), n_ways)
    f = (values - t) ** 2
    target = _along(values, lambda y: (y - t) ** 2, lambda y: 2 * (y - t))
    return Problem("one_choice", q, target, None, q.probs * (f - (q.probs * f).sum()))


# --- the certificate's --------------------------------------------------------------------------------------


@functools.cache
def certified_bits():
    """The certificate's problems of bits, in float64, two data points each.

    One bit, whose states are nearly as good; a bend between the states, which misleads who follows f's slope; parity,
    which has no slope of its own at the mean; bits that are nearly certain; sampled KL, against a prior of its own, and
    an analytic one; a large offset.

    Returns
    -------
    tuple of Problem
        Made once, and remembered.
    """
    one = Binary(np.array([[0.6], [-1.2]]))
    three = Binary(np.array([[0.6, -0.9, 0.2], [-0.5, 1.1, -1.4]]))
    sure = Binary(np.array([[2.5, -1.8], [-2.2, 0.5]]))
    own = Binary(three.params, Bits(np.array([-0.8, 0.4, 1.0])))
    mix = np.array([1.0, -1.5, 2.0])
    parity = Target(
        lambda z: (1 - 2 * z).prod(axis=2),
        lambda z: np.stack([-2 * (1 - 2 * np.delete(z, k, axis=2)).prod(axis=2) for k in range(3)], axis=2),
    )
    valley, wave = _along(mix, *_bowl(0.7)), _along(mix, lambda y: np.sin(2 * y), lambda y: 2 * np.cos(2 * y))
    return (
        problem("bit (z - .45)^2", one, _along(np.ones(1), *_bowl(0.45))),
        problem("bits, coupled", three, valley),
        problem("bits, wave", three, wave),
        problem("bits, parity", three, parity),
        problem("bits, nearly certain", sure, _along(np.array([1.0, -1.5]), *_bowl(-0.3))),
        problem("bit, 100 x quadratic + 200", one, _along(np.ones(1), *_bowl(0.2, 100.0, 200.0))),
        problem("bits, sampled KL, beta 2", own, valley, ELBO(beta=2.0, kl="monte_carlo")),
        problem("bits, analytic KL, beta 3", own, valley, ELBO(beta=3.0)),
    )


@functools.cache
def certified_groups():
    """The certificate's problems of one-hot groups, in float64, two data points each, as those of bits.

    Returns
    -------
    tuple of Problem
        Made once, and remembered.
    """
    one = Categorical(np.array([[0.6, -0.4, 0.1], [-1.2, 0.3, 0.9]]), 3)
    two = np.array([[0.6, -0.9, 0.2, 1.0, 0.0, -0.5], [-0.5, 1.1, -1.4, 0.3, -0.2, 0.8]])
    prior = Categories(3, np.array([[0.5, 0.0, -0.7], [-0.2, 0.6, 0.1]]))
    plain, own = Categorical(two, 3), Categorical(two, 3, prior)
    mix = np.array([0.0, 1.0, 2.5, -1.5, 0.5, 1.0])
    wave = _along(mix, lambda y: np.sin(2 * y), lambda y: 2 * np.cos(2 * y))
    return (
        problem("choice, quadratic", one, _along(mix[:3], *_bowl(1.1))),
        problem("choices, wave", plain, wave),
        problem("choice, 100 x quadratic + 200", one, _along(mix[:3], *_bowl(0.3, 100.0, 200.0))),
        problem("choices, sampled KL, beta 2", own, _along(mix, *_bowl(0.7)), ELBO(beta=2.0, kl="monte_carlo")),
        problem("choices, analytic KL, beta 3", own, _along(mix, *_bowl(0.7)), ELBO(beta=3.0)),
    )


def bits_bound(n_samples=(1, 2, 3, 8)):
    """The certificate's problems of the importance-weighted bound with bits.

    Parameters
    ----------
    n_samples : tuple of int
        The S, each of at least 1.

    Returns
    -------
    tuple of Problem
        Each for each S.
    """
    q = Binary(np.array([[0.6, -0.9, 0.2], [-0.5, 1.1, -1.4]]), Bits(np.array([-0.8, 0.4, 1.0])))
    return _bounds("bits", q, np.array([1.0, -1.5, 2.0]), n_samples)


def groups_bound(n_samples=(1, 2, 3, 8)):
    """The certificate's problems of the importance-weighted bound with one-hot groups.

    Parameters
    ----------
    n_samples : tuple of int
        The S, each of at least 1.

    Returns
    -------
    tuple of Problem
        Each for each S.
    """
    q = Categorical(np.array([[0.6, -0.9, 0.2, 1.0, 0.0, -0.5], [-0.5, 1.1, -1.4, 0.3, -0.2, 0.8]]), 3)
    return _bounds("choices", q, np.array([0.0, 1.0, 2.5, -1.5, 0.5, 1.0]), n_samples)


def _bounds(what, q, mix, n_samples):
    targets = {"coupled": _bowl(0.7, 0.5), "narrow + 1000": _bowl(0.7, 1.5, 1000.0)}
    return tuple(
        problem(f"bound, {what}, {name}", q, _along(mix, *f), ImportanceWeighted(), n_samples=s)
        for name, f in targets.items()
        for s in n_samples
    )


# --- parts --------------------------------------------------------------------------------------------------


def _bowl(t, scale=1.0, offset=0.0):
    """offset + scale (y - t)^2 and its slope."""
    return lambda y: offset + scale * (y - t) ** 2, lambda y: 2 * scale * (y - t)


def _along(mix, f, slope):
    """The target f(mix' z), mix (K,), with its gradient."""
    return Target(lambda z: f(z @ mix), lambda z: slope(z @ mix)[..., None] * mix)
