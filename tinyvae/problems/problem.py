"""An expectation whose gradient is known: what estimators are measured and tested on."""

from typing import NamedTuple

import numpy as np

from tinyvae.estimators import Target
from tinyvae.problems.exact import exact_gradient, exact_loss, exact_spread

__all__ = ["Problem", "problem", "alone"]


class Problem(NamedTuple):
    """One expectation whose gradient is known: gradient (B, P) = d E_q[l] / d params.

    n_samples: the S for which it is the gradient; None for any, as with all but the importance-weighted bound. loss, size,
    spread: (B,), the mean of the estimator's f, E_q[l], its root mean square, and E[`spread_of`(l)]; None leaves f untested.
    """

    name: str
    q: object
    target: Target
    objective: object
    gradient: np.ndarray
    n_samples: object = None
    loss: object = None
    size: object = None
    spread: object = None


def problem(name, q, target, objective=None, n_nodes=64, n_samples=None):
    """A Problem whose gradient and loss come from `exact_gradient` and `exact_loss`. n_samples: S, for ImportanceWeighted."""
    gradient = exact_gradient(q, target, objective, n_nodes, n_samples or 1)
    loss, size = exact_loss(q, target, objective, n_nodes)
    spread = exact_spread(q, target, objective, loss, size, n_nodes)
    return Problem(name, q, target, objective, gradient, n_samples, loss, size, spread)


def alone(p, point):
    """The Problem of one data point of another, as if it were alone in the batch."""
    rows, one = len(p.gradient), slice(point, point + 1)

    def only(function):
        return lambda z: function(np.repeat(z, rows, axis=1))[:, one]

    parts = {
        name: None if getattr(p, name) is None else getattr(p, name)[one]
        for name in ("gradient", "loss", "size", "spread")
    }
    target = Target(only(p.target), only(p.target.grad))
    return p._replace(name=f"{p.name}, 1 point a call", q=p.q.like(p.q.params[one]), target=target, **parts)
