"""First-order optimisers on a flat parameter vector: parameters, a gradient, state."""

import math

import numpy as np

from tinyvae import validate
from tinyvae.kernels import optimizers as kernels
from tinyvae.kernels import passes
from tinyvae.machine import team
from tinyvae.machine.arena import zeros

__all__ = ["SGD", "Adam"]

BELOW_ONE = np.nextafter(1, 0)


def _check(optimizer, theta, grad, *states):
    """The loops trust their arguments' sizes and types: raise unless they fit each other. States may be None yet."""
    for name, array in (("theta", theta), ("grad", grad)):
        if type(array) is not np.ndarray or array.dtype not in validate.FLOATS or array.ndim != 1:
            got = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"{name} must be a plain vector (P,) of float32 or float64, got {got}")
    if not theta.flags.writeable:
        raise ValueError("theta must be writeable, for it is updated in place; give a copy")
    if theta.shape != grad.shape or theta.dtype != grad.dtype:
        raise ValueError(
            f"grad must fit theta, {theta.dtype} of shape {theta.shape}, got {grad.dtype} of shape {grad.shape}"
        )
    for state in states:
        if state is not None and (theta.shape != state.shape or theta.dtype != state.dtype):
            raise ValueError(
                f"this {type(optimizer).__name__} belongs to a theta of {state.dtype} and shape {state.shape}, "
                f"got {theta.dtype} of shape {theta.shape}; make a new one for each model"
            )


def _number(name, **limits):
    """A property: a number that is checked whenever it is set, and kept as a float whatever kind it was."""

    def get(self):
        """The number, as it was set last."""
        return vars(self)[name]

    def put(self, value):
        vars(self)[name] = validate.number(name, value, **limits)

    return property(get, put)


class SGD:
    """Gradient descent with momentum.

        velocity <- momentum velocity + g;  theta <- theta - rate velocity

    Parameters
    ----------
    rate : float
        Step size, at least 0.
    momentum : float
        From 0 to below 1.

    Attributes
    ----------
    rate, momentum : float
    velocity : array (P,)
        None before the first step.

    Raises
    ------
    ValueError, TypeError
        If an argument, or an attribute that is set later, is out of its range or no number.

    Notes
    -----
    Source: Polyak 1964.
    """

    rate = _number("rate", least=0)
    momentum = _number("momentum", least=0, most=BELOW_ONE)

    def __init__(self, rate=1e-2, momentum=0.0):
        self.rate, self.momentum = rate, momentum
        self.velocity = None

    def __repr__(self):
        return f"SGD(rate={self.rate}, momentum={self.momentum})"

    def step(self, theta, grad):
        """Update theta (P,) in place, along grad (P,). Raises ValueError if the two, or earlier steps, do not fit."""
        _check(self, theta, grad, self.velocity)
        if self.velocity is None:
            self.velocity = np.zeros_like(theta)
        kernels.sgd(theta, grad, self.velocity, self.rate, self.momentum)

    def state(self):
        """The present rate and momentum, and, if there is momentum, what the steps left behind, as arrays by name."""
        left = {"velocity": self.velocity.copy()} if self.momentum and self.velocity is not None else {}
        return {**left, "rate": np.array(self.rate), "momentum": np.array(self.momentum)}

    def restore(self, state):
        """Go on from what `state` returned; an empty dict forgets the steps.

        Raises KeyError, ValueError or TypeError, and changes nothing, if it is no such state.
        """
        if not state:
            self.velocity = None
            return
        velocity = validate.array("velocity", state["velocity"], ("P",)).copy() if "velocity" in state else None
        fresh = SGD(float(state["rate"]), float(state["momentum"]))
        vars(self).update(vars(fresh), velocity=velocity)


class Adam:
    """Adam: a step of size `rate` along the running mean over the running root mean square.

        m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
        theta <- theta - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)

    Parameters
    ----------
    rate : float
        Step size, in units of the parameters, at least 0.
    beta1 : float
        What the running mean keeps, from 0 to below 1.
    beta2 : float
        What the running mean square keeps, from 0 to below 1.
    epsilon : float
        In units of the gradient, above 0.

    Attributes
    ----------
    rate, beta1, beta2, epsilon : float
    t : int
        How many steps were made.
    m, v : array (P,)
        The running mean and mean square; None before the first step.

    Raises
    ------
    ValueError, TypeError
        If an argument, or an attribute that is set later, is out of its range or no number.

    Notes
    -----
    Source: Kingma & Ba 2015, algorithm 1.
    """

    rate = _number("rate", least=0)
    beta1 = _number("beta1", least=0, most=BELOW_ONE)
    beta2 = _number("beta2", least=0, most=BELOW_ONE)
    epsilon = _number("epsilon", least=0, open_least=True)

    def __init__(self, rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.rate, self.beta1, self.beta2, self.epsilon = rate, beta1, beta2, epsilon
        self.t, self.m, self.v = 0, None, None
        self._numbers = zeros((5,), np.float64)  # for the pass: its address is looked up once

    def __repr__(self):
        return f"Adam(rate={self.rate}, beta1={self.beta1}, beta2={self.beta2}, epsilon={self.epsilon})"

    def step(self, theta, grad):
        """Update theta (P,) in place, along grad (P,).

        Raises ValueError if the two, or earlier steps, do not fit, or if epsilon is 0 in theta's dtype.
        """
        _check(self, theta, grad, self.m, self.v)
        if not theta.dtype.type(self.epsilon):  # where the gradient is 0, it keeps 0 from being divided by 0
            least = np.finfo(theta.dtype).tiny
            raise ValueError(f"epsilon is {self.epsilon:g}, which is 0 in {theta.dtype}; give at least {least:g}")
        if self.m is None:
            self.m, self.v = (zeros(theta.shape, theta.dtype) for _ in "mv")
        self.t += 1
        rate = self.rate / (1 - self.beta1**self.t)
        correction = 1 / math.sqrt(1 - self.beta2**self.t)

        numbers = rate, self.beta1, self.beta2, correction, self.epsilon
        if not all(array.flags.c_contiguous for array in (theta, grad, self.m, self.v)):
            kernels.adam(theta, grad, self.m, self.v, *numbers)
            return
        self._numbers[:] = numbers
        team.run(theta.dtype, (passes.update, len(theta), theta, grad, self.m, self.v, self._numbers))

    def state(self):
        """What the steps so far left behind, and the present rate and its like, as arrays by name."""
        if self.m is None:
            return {}
        numbers = {name: np.array(getattr(self, name)) for name in ("rate", "beta1", "beta2", "epsilon")}
        return {"t": np.array(self.t), "m": self.m.copy(), "v": self.v.copy(), **numbers}

    def restore(self, state):
        """Go on from what `state` returned; an empty dict forgets the steps.

        Raises KeyError, ValueError or TypeError, and changes nothing, if it is no such state.
        """
        if not state:
            self.t, self.m, self.v = 0, None, None
            return
        m = validate.array("m", state["m"], ("P",)).copy()
        v = validate.array("v", state["v"], m.shape, m.dtype).copy()
        if (v < 0).any():
            raise ValueError(f"v must be at least 0, being a mean of squares, got {v.min():g}")
        fresh = Adam(*(float(state[name]) for name in ("rate", "beta1", "beta2", "epsilon")))
        vars(self).update(vars(fresh), t=validate.integer("t", int(state["t"]), least=1), m=m, v=v)
