"""Finite differences: for what is deterministic."""

import math
from typing import NamedTuple

import numpy as np

from tinyvae import validate

__all__ = ["GradientCheck", "gradients"]


class GradientCheck(NamedTuple):
    """What `gradients` found.

    Attributes
    ----------
    labels : list of str
        One a tested direction.
    analytic, numeric : array (n,)
        The derivatives along them.
    error : float
        The largest difference over ||gradient||.
    """

    labels: list
    analytic: np.ndarray
    numeric: np.ndarray
    error: float

    def __str__(self):
        order = np.argsort(-np.abs(self.analytic - self.numeric))
        lines = [f"{'':>16} {'analytic':>18} {'numeric':>18} {'difference':>12}"]
        for i in order:
            a, n = self.analytic[i], self.numeric[i]
            lines.append(f"{self.labels[i]:>16} {a:18.10g} {n:18.10g} {a - n:12.2e}")
        return "\n".join(lines)


def gradients(function, theta, n_coordinates=20, n_directions=3, tolerance=1e-7, seed=0):
    """Compare a function's gradient with central differences, in float64.

        g'v = [8 (f(theta + h v) - f(theta - h v)) - (f(theta + 2h v) - f(theta - 2h v))] / (12 h) + O(h^4)

    v runs through n_coordinates random coordinates and n_directions Gaussian vectors, which feel every coordinate.
    For a model whose parameters live inside it:

        def f(theta):
            vae.theta[:] = theta
            return vae.loss_and_grads(x, eps)
        check.gradients(f, vae.theta)

    theta is as before afterwards, and so is the model: the last call is at theta.

    Parameters
    ----------
    function : callable
        theta (P,) -> (value, gradient (P,)), deterministic (fix the noise).
    theta : array (P,)
        float64.
    n_coordinates : int, optional
        All of them if P is smaller.
    n_directions : int, optional
    tolerance : float, optional
        In units of ||gradient||.
    seed : int, optional
        What coordinates and directions come from.

    Returns
    -------
    GradientCheck

    Raises
    ------
    AssertionError
        With both numbers side by side, worst first, if any differs by more than tolerance ||gradient||. A kink (relu)
        closer than 5e-5 to theta raises too: choose another point.
    TypeError
        Unless theta is float64, or if a number is of the wrong type.
    ValueError
        If a shape does not fit, the gradient is not finite, or a number is below 0.
    """
    theta = np.asarray(theta)
    if theta.dtype != np.float64:
        raise TypeError(
            f"theta must be float64, got {theta.dtype}: differences need it; build the model with dtype='float64'"
        )
    validate.array("theta", theta, ("P",))
    validate.number("tolerance", tolerance, least=0)
    rng = np.random.default_rng(validate.integer("seed", seed, least=0))
    labels, directions = _directions(rng, theta, n_coordinates, n_directions)
    start = theta.copy()
    try:
        numeric = np.array([_slope(function, start, v) for v in directions])
    finally:
        _, gradient = function(start.copy())
        gradient = np.array(gradient)  # a copy: the function may reuse its array
        theta[...] = start
    validate.array("function's gradient", gradient, theta.shape, "float64")
    analytic = np.array([gradient @ v for v in directions])
    norm = np.linalg.norm(gradient)
    worst = np.abs(analytic - numeric).max(initial=0.0)
    error = float(worst / norm) if norm else math.inf if worst > tolerance else 0.0
    result = GradientCheck(labels, analytic, numeric, error)
    if not error <= tolerance:
        found = f"the gradient differs from central differences by {error:.2e} of its norm, more than {tolerance:g}"
        raise AssertionError(f"{found}\n{result}")
    return result


def _directions(rng, theta, n_coordinates, n_directions):
    size = len(theta)
    n_coordinates = min(size, validate.integer("n_coordinates", n_coordinates, least=0))
    n_directions = validate.integer("n_directions", n_directions, least=0)
    coordinates = np.sort(rng.choice(size, n_coordinates, replace=False))
    labels = [f"theta[{i}]" for i in coordinates] + [f"direction {i}" for i in range(n_directions)]
    units = [np.eye(1, size, i)[0] for i in coordinates]
    return labels, units + list(rng.standard_normal((n_directions, size)))


def _slope(function, theta, v):
    """The derivative along v. h = 4 eps^(1/3), in units of theta where it is large: rounding and h^4 stay small."""
    h = 4 * np.finfo("float64").eps ** (1 / 3) * max(1.0, np.linalg.norm(theta * v) / np.linalg.norm(v))

    def value(steps):
        return float(function(theta + steps * h * v)[0])

    return (8 * (value(1) - value(-1)) - (value(2) - value(-2))) / (12 * h)
