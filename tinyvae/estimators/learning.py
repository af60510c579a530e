"""What an estimator that learns is made of: something that learns alongside, a moving mean or a small network."""

import math

import numpy as np

from tinyvae import validate
from tinyvae.mlp import MLP
from tinyvae.optim import Adam

__all__ = ["Learner", "MovingMean", "SmallNetwork"]

DECAY = 0.9  # of a small network's mean and variance


class Learner:
    """An estimator that learns: `learn`, given by the subclass, takes in what a call left in `_seen`.

    The training loop calls `update` *after* the gradient was taken; a call alone changes nothing, so that a measurement
    leaves it as it is. `state` and `restore` carry what was learnt into a file and back.

    Parameters
    ----------
    learnt : MovingMean, SmallNetwork or the like
        What it learns; it has a `state` and a `restore`.

    Attributes
    ----------
    learnt : MovingMean, SmallNetwork or the like
        As given.
    """

    def __init__(self, learnt):
        self.learnt, self._seen = learnt, None

    def update(self):
        """Take in the last call. Raises RuntimeError if there was none, ArithmeticError if learning diverged."""
        if self._seen is None:
            raise RuntimeError(f"{type(self).__name__}.update() learns from the last call: call the estimator first")
        self.learn(*self._seen)

    def state(self):
        """What was learnt so far, as arrays by name; an empty dict before anything was."""
        return self.learnt.state()

    def restore(self, state):
        """Go on from what `state` returned; an empty dict is a fresh start."""
        self.learnt.restore(state)


def _decay(value):
    """A checked decay; an array of a single number, as states hold, will do."""
    value = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    return validate.number("decay", value, least=0, most=1)


class MovingMean:
    """A moving average of the numbers that it is given.

        value <- decay value + (1 - decay) new;  the first is taken as it is

    Parameters
    ----------
    decay : float
        From 0 to 1.

    Attributes
    ----------
    decay : float
        As given.
    value : float or None
        The average, in the numbers' units; None before the first.

    Raises
    ------
    TypeError
        If decay is not a number.
    ValueError
        If decay is not between 0 and 1.
    """

    def __init__(self, decay):
        self.decay, self.value = _decay(decay), None

    def add(self, new):
        """Take in `new`, a number."""
        self.value = new if self.value is None else self.decay * self.value + (1 - self.decay) * new

    def state(self):
        """What was learnt so far, as arrays by name; an empty dict before the first number."""
        return {} if self.value is None else {"average": np.array(self.value), "decay": np.array(self.decay)}

    def restore(self, state):
        """Go on from what `state` returned; an empty dict is a fresh start, with the present decay."""
        self.value = float(state["average"]) if state else None
        if state:
            self.decay = _decay(state["decay"])

    def __repr__(self):
        return f"decay={float(self.decay)}"


class SmallNetwork:
    """A network that learns to predict numbers of any size, in float64.

        y = mean + std MLP(inputs),  mean and std^2 being the running mean and variance of what it is to predict

    So the MLP works in units of order one whatever the size of f. The variance is that of all past values, within calls
    and between them: a call may hold a single one. Until two values differ there is no unit to learn in: std is 0, the
    prediction the mean. The MLP is built at the first call, when the number of inputs is known.

    Parameters
    ----------
    hidden : iterable of int
        The sizes of the hidden layers.
    rate : float
        Adam's step size, in units of the weights.
    seed : int
        For the initial weights.
    decay : float, optional
        How much of mean and variance is kept at a step.

    Attributes
    ----------
    hidden : tuple of int
        As given.
    seed : int
        As given.
    decay : float
        As given.
    optimizer : Adam
    mlp : MLP or None
        None before the first call.
    scale : tuple of float, or None
        The running mean and variance, (mean, variance); None before the first step.
    mean : float
        The running mean, in the units of what it predicts; 0 before the first step.
    variance : float
        The running variance, in those units squared; 0 before the first step.

    Raises
    ------
    TypeError
        If a number of `hidden`, rate, seed or decay is of the wrong type.
    ValueError
        If one of `hidden` is below 1, rate or seed below 0, or decay not between 0 and 1.
    """

    def __init__(self, hidden, rate, seed, decay=DECAY):
        self.hidden = validate.sizes("hidden", tuple(hidden) if np.iterable(hidden) else hidden)
        self.seed, self.decay = validate.integer("seed", seed, least=0), _decay(decay)
        self.optimizer = Adam(rate)
        self.mlp, self.scale = None, None

    @property
    def mean(self):
        """The running mean of what it is to predict; 0 before the first step."""
        return self.scale[0] if self.scale else 0.0

    @property
    def variance(self):
        """The running variance of what it is to predict, within calls and between them; 0 before the first step."""
        return self.scale[1] if self.scale else 0.0

    @property
    def std(self):
        """The root of the variance."""
        return math.sqrt(self.variance)

    def __call__(self, inputs):
        """inputs (n, n_in) -> y (n,), and the cache that `learn` and `input_gradient` take."""
        if self.mlp is None:
            self._build(inputs.shape[1])
        y, cache = self.mlp.forward(inputs.astype("float64"))
        return self.mean + self.std * y[:, 0], cache

    def _build(self, n_inputs):
        self.mlp = MLP((n_inputs, *self.hidden, 1), dtype="float64", rng=np.random.default_rng(self.seed))

    def input_gradient(self, cache):
        """dy/dinputs, (n, n_in), at the inputs of a call's cache."""
        dx = np.empty_like(cache.x)
        self.mlp.deltas(cache, np.full((len(dx), 1), self.std), dx)
        return dx

    def learn(self, passes, values):
        """Follow the scale of `values`; then one optimiser step down the sum of slope dy/dtheta over `passes`.

        Slopes are divided by the new variance, so that the step does not depend on the units of f, and that no value,
        however far from those before, makes it large. No step where y was the mean alone: it did not depend on theta.

        Parameters
        ----------
        passes : list of (cache, array (n,))
            The cache of a call, and a slope for each of its rows.
        values : array
            What it is to predict, of any shape.

        Raises
        ------
        ArithmeticError
            If a slope is not finite.
        """
        if not all(np.isfinite(slope).all() for _, slope in passes):
            raise ArithmeticError("the gradient of the estimator's own network became non-finite")
        std = self.std  # of the calls
        self._follow(values)
        if not std or not self.variance:
            return
        total, part = np.zeros_like(self.mlp.theta), np.empty_like(self.mlp.theta)
        for cache, slope in passes:
            dy = (slope[:, None] * (std / self.variance)).astype("float64")  # n, 1
            self.mlp.backpropagate(cache, dy, part)
            total += part
        self.optimizer.step(self.mlp.theta, total)

    def _follow(self, values):
        """Take `values` into the running mean and variance; the first are taken as they are."""
        mean, variance = float(values.mean()), float(values.var())
        if self.scale:
            keep, moved = self.decay, mean - self.mean
            variance = keep * (self.variance + (1 - keep) * moved * moved) + (1 - keep) * variance
            mean = self.mean + (1 - keep) * moved
        self.scale = mean, variance

    def state(self):
        """What was learnt so far, as arrays by name; an empty dict before the first call."""
        if self.mlp is None:
            return {}
        optimizer = {f"optimizer.{name}": np.array(value) for name, value in self.optimizer.state().items()}
        return {
            "theta": self.mlp.theta.copy(),
            "n_inputs": np.array(self.mlp.sizes[0]),
            "decay": np.array(self.decay),
            **({"mean_and_variance": np.array(self.scale)} if self.scale else {}),
            **optimizer,
        }

    def restore(self, state):
        """Go on from what `state` returned; an empty dict is a fresh start."""
        self.mlp, self.scale = None, None
        if state:
            self._build(int(state["n_inputs"]))
            self.mlp.theta, self.decay = state["theta"], _decay(state["decay"])
        if "mean_and_variance" in state:
            self.scale = tuple(map(float, state["mean_and_variance"]))
        prefix = "optimizer."
        self.optimizer.restore({name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)})
        if self.optimizer.m is not None:
            validate.check_shape("the optimiser's m", self.optimizer.m, self.mlp.theta.shape)

    def __repr__(self):
        decay = f", decay={float(self.decay)}" * (self.decay != DECAY)  # which the estimators do not ask for
        return f"hidden={self.hidden}, rate={self.optimizer.rate}, seed={self.seed}{decay}"
