"""First-order optimisers on a flat parameter vector: parameters, a gradient, state."""

import math

import numpy as np

from tinyvae import schedules, validate
from tinyvae.kernels import optimizers as kernels
from tinyvae.kernels import passes
from tinyvae.machine import team
from tinyvae.machine.arena import zeros

__all__ = ["SGD", "Adam", "clip"]

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


def _scheduled(name, **limits):
    """The same, or a function of the step, see `tinyvae.schedules`."""

    def get(self):
        """The number, or the function, as it was set last."""
        return vars(self)[name]

    def put(self, value):
        vars(self)[name] = schedules.checked(name, value, **limits)

    return property(get, put)


class SGD:
    """Gradient descent with momentum.

        velocity <- momentum velocity + g;  theta <- theta - rate velocity

    Parameters
    ----------
    rate : float or function of the step
        Step size, at least 0; see `tinyvae.schedules`.
    momentum : float
        From 0 to below 1.

    Attributes
    ----------
    rate : float or function
    momentum : float
    t : int
        How many steps were made.
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

    rate = _scheduled("rate", least=0)
    momentum = _number("momentum", least=0, most=BELOW_ONE)

    def __init__(self, rate=1e-2, momentum=0.0):
        self.rate, self.momentum = rate, momentum
        self.t, self.velocity = 0, None

    def __repr__(self):
        return f"SGD(rate={schedules.words(self.rate)}, momentum={self.momentum})"

    def step(self, theta, grad):
        """Update theta (P,) in place, along grad (P,). Raises ValueError if the two, or earlier steps, do not fit."""
        _check(self, theta, grad, self.velocity)
        if self.velocity is None:
            self.velocity = np.zeros_like(theta)
        rate = schedules.at("rate", self.rate, self.t + 1, least=0)
        self.t += 1
        kernels.sgd(theta, grad, self.velocity, rate, self.momentum)

    def state(self):
        """The present rate and momentum, and, if there is momentum, what the steps left behind, as arrays by name.

        Of a rate that is a function of the step, the number of steps.
        """
        left = {"velocity": self.velocity.copy()} if self.momentum and self.velocity is not None else {}
        rate = {"t": np.array(self.t)} if callable(self.rate) else {"rate": np.array(self.rate)}
        return {**left, **rate, "momentum": np.array(self.momentum)}

    def restore(self, state):
        """Go on from what `state` returned; an empty dict forgets the steps.

        Raises KeyError, ValueError or TypeError, and changes nothing, if it is no such state.
        """
        if not state:
            self.t, self.velocity = 0, None
            return
        velocity = validate.array("velocity", state["velocity"], ("P",)).copy() if "velocity" in state else None
        fresh, t = SGD(_rate(self, state), float(state["momentum"])), int(state.get("t", self.t))
        vars(self).update(vars(fresh), t=validate.integer("t", t, least=0), velocity=velocity)


def _rate(optimizer, state):
    """The rate out of a state, or the optimiser's own function of the step, which no state holds."""
    if "rate" in state:
        return float(state["rate"])
    if not callable(optimizer.rate):
        raise ValueError(f"the state belongs to a rate that is a function of the step, this one is {optimizer.rate}")
    return optimizer.rate


class Adam:
    """Adam: a step of size `rate` along the running mean over the running root mean square.

        m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
        theta <- (1 - rate weight_decay) theta - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)

    With weight decay it is AdamW: theta shrinks by itself, apart from the gradient, so that the running means do not
    see it. All of theta does, biases and log-variances included.

    Parameters
    ----------
    rate : float or function of the step
        Step size, in units of the parameters, at least 0; see `tinyvae.schedules`.
    beta1 : float
        What the running mean keeps, from 0 to below 1.
    beta2 : float
        What the running mean square keeps, from 0 to below 1.
    epsilon : float
        In units of the gradient, above 0.
    weight_decay : float
        What each step takes off theta, as a fraction of it, divided by the rate; 0 for none.

    Attributes
    ----------
    rate : float or function
    beta1, beta2, epsilon, weight_decay : float
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
    Source: Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019, algorithm 2, whose decay a step is `rate` times
    `weight_decay` here, as in other packages; there only the schedule's factor multiplies it.
    """

    rate = _scheduled("rate", least=0)
    beta1 = _number("beta1", least=0, most=BELOW_ONE)
    beta2 = _number("beta2", least=0, most=BELOW_ONE)
    epsilon = _number("epsilon", least=0, open_least=True)
    weight_decay = _number("weight_decay", least=0)

    def __init__(self, rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0):
        self.rate, self.beta1, self.beta2, self.epsilon = rate, beta1, beta2, epsilon
        self.weight_decay = weight_decay
        self.t, self.m, self.v = 0, None, None
        self._numbers = zeros((5,), np.float64)  # for the pass: its address is looked up once

    def __repr__(self):
        numbers = f"rate={schedules.words(self.rate)}, beta1={self.beta1}, beta2={self.beta2}, epsilon={self.epsilon}"
        return f"Adam({numbers}{f', weight_decay={self.weight_decay}' if self.weight_decay else ''})"

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
        present = schedules.at("rate", self.rate, self.t + 1, least=0)
        self.t += 1
        if self.weight_decay:
            theta *= theta.dtype.type(1 - present * self.weight_decay)
        rate = present / (1 - self.beta1**self.t)
        correction = 1 / math.sqrt(1 - self.beta2**self.t)

        numbers = rate, self.beta1, self.beta2, correction, self.epsilon
        if not all(array.flags.c_contiguous for array in (theta, grad, self.m, self.v)):
            kernels.adam(theta, grad, self.m, self.v, *numbers)
            return
        self._numbers[:] = numbers
        team.run(theta.dtype, (passes.update, len(theta), theta, grad, self.m, self.v, self._numbers))

    def state(self):
        """What the steps so far left behind, and the present rate and its like, as arrays by name.

        A rate that is a function of the step is not among them: the steps' number, t, is.
        """
        if self.m is None:
            return {}
        names = ["beta1", "beta2", "epsilon"] + ["weight_decay"] * bool(self.weight_decay)
        numbers = {name: np.array(getattr(self, name)) for name in ["rate"] * (not callable(self.rate)) + names}
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
        numbers = {name: float(state[name]) for name in ("beta1", "beta2", "epsilon")}
        fresh = Adam(_rate(self, state), **numbers, weight_decay=float(state.get("weight_decay", 0)))
        vars(self).update(vars(fresh), t=validate.integer("t", int(state["t"]), least=1), m=m, v=v)


def clip(grad, norm):
    """Shorten a gradient, in place, to a norm that it may have at most: its direction stays.

    Parameters
    ----------
    grad : array (P,)
        Finite.
    norm : float
        The largest Euclidean norm that is left as it is.

    Returns
    -------
    float
        The norm that it had.

    Raises
    ------
    ArithmeticError
        If its norm is not finite.

    Notes
    -----
    Source: Pascanu, Mikolov & Bengio 2013, algorithm 1.
    """
    length = math.sqrt(float(np.vdot(grad, grad)))
    if not math.isfinite(length):  # the squares overflowed, or it is not finite itself
        length = float(np.linalg.norm(grad.astype("float64")))
    if not math.isfinite(length):
        raise ArithmeticError(f"the gradient's norm became {length}")
    if length > norm:
        grad *= grad.dtype.type(norm / length)
    return length
