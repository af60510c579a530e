"""An expectation whose gradient is known: what estimators are measured and tested on."""

from typing import NamedTuple

import numpy as np

from tinyvae import validate
from tinyvae.estimators import Target
from tinyvae.problems.exact import exact_gradient, exact_loss, gradient_error

__all__ = ["Problem", "problem", "alone"]


class Problem(NamedTuple):
    """One expectation whose gradient is known.

    Attributes
    ----------
    name : str
        What it is called in reports.
    q : DiagonalGaussian or another distribution
        One for each of B data points.
    target : Target
        The function f.
    objective : ELBO, ImportanceWeighted or None
        It makes l of f; None for the plain expectation.
    gradient : array (B, P) or None
        d E_q[l] / d params, what an estimator must find. In a problem that `problems.make` made, an analytic KL's is
        added to it, as `variance.measure_target` adds it. None where it is not known.
    n_samples : int or None
        The S for which it is the gradient; None for any, as with all but the importance-weighted bound.
    loss : array (B,) or None
        The mean of the estimator's f, E_q[l], nats; None leaves f untested.
    size : array (B,) or None
        Its root mean square.
    error : array (B, 1) or None
        How far `gradient` may itself be off, see `exact.gradient_error`; None for not at all.
    """

    name: str
    q: object
    target: Target
    objective: object
    gradient: np.ndarray
    n_samples: object = None
    loss: object = None
    size: object = None
    error: object = None


def problem(name, q, target, objective=None, n_nodes=64, n_samples=None):
    """A Problem whose gradient and loss come from `exact_gradient` and `exact_loss`.

    Parameters
    ----------
    name : str
        What it is called in reports.
    q, target, objective
        As in `exact_gradient`.
    n_nodes : int
        Nodes in each latent.
    n_samples : int or None
        S, for ImportanceWeighted.

    Returns
    -------
    Problem
        With all its fields.

    Raises
    ------
    TypeError or ValueError
        For input that does not fit.
    """
    asked = q, target, objective, n_nodes, 1 if n_samples is None else n_samples
    gradient = exact_gradient(*asked)
    loss, size = exact_loss(q, target, objective, n_nodes)
    return Problem(name, q, target, objective, gradient, n_samples, loss, size, gradient_error(gradient, *asked))


def alone(p, point):
    """The Problem of one data point of another, as if it were alone in the batch.

    Parameters
    ----------
    p : Problem
        Of B data points.
    point : int
        Which, from 0.

    Returns
    -------
    Problem
        Of one data point; its target asks p's about the same z for all B, and takes this one's answer.

    Raises
    ------
    ValueError or TypeError
        If there is no such data point.
    """
    rows, point = len(p.q.params), validate.integer("point", point, least=0)
    if point >= rows:
        raise ValueError(f"point must be one of the {rows} data points of {p.name!r}, from 0, got {point}")
    one = slice(point, point + 1)

    def only(function):
        return lambda z: function(np.repeat(z, rows, axis=1))[:, one]

    known = {name: getattr(p, name) for name in ("gradient", "loss", "size", "error")}
    parts = {name: None if value is None else value[one] for name, value in known.items()}
    target = Target(only(p.target), only(p.target.grad))
    return p._replace(name=f"{p.name}, 1 point a call", q=p.q.like(p.q.params[one]), target=target, **parts)
