"""What an estimator that learns is made of: something that learns alongside, a moving mean or a small network."""

import numpy as np

from tinyvae import validate
from tinyvae.mlp import MLP
from tinyvae.optim import Adam

__all__ = ["Learner", "MovingMean", "SmallNetwork"]


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
        self.decay, self.value = validate.number("decay", decay, least=0, most=1), None

    def add(self, new):
        """Take in `new`, a number."""
        self.value = new if self.value is None else self.decay * self.value + (1 - self.decay) * new

    def state(self):
        """What was learnt so far, as arrays by name; an empty dict before the first number."""
        return {} if self.value is None else {"average": np.array(self.value)}

    def restore(self, state):
        """Go on from what `state` returned; an empty dict is a fresh start."""
        self.value = float(state["average"]) if state else None

    def __repr__(self):
        return f"decay={self.decay}"


class SmallNetwork:
    """A network that learns to predict numbers of any size, in float64.

        y = mean + std MLP(inputs),  mean and std following what it is to predict

    The scale is a moving average of past values, so that the MLP works in units of order one whatever
    the size of f. It is built at the first call, when the number of inputs is known.

    Parameters
    ----------
    hidden : iterable of int
        The sizes of the hidden layers.
    rate : float
        Adam's step size, in units of the weights.
    seed : int
        For the initial weights.
    decay : float, optional
        How much of mean and std is kept at a step.

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
    mean : float
        The scale's level, in the units of what it predicts; 0 before the first step.
    std : float
        The scale's width, in the same units; 1 before the first step.

    Raises
    ------
    TypeError
        If a number of `hidden`, rate or seed is of the wrong type.
    ValueError
        If one of `hidden` is below 1, or rate or seed below 0.
    """

    def __init__(self, hidden, rate, seed, decay=0.9):
        self.hidden = tuple(validate.integer("each of hidden", n, least=1) for n in hidden)
        self.seed, self.decay = validate.integer("seed", seed, least=0), decay
        self.optimizer = Adam(rate)
        self.mlp, self.mean, self.std = None, 0.0, 1.0

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
        return self.mlp.input_gradient(self.mlp.deltas(cache, np.full((len(cache.inputs[0]), 1), self.std)))

    def learn(self, passes, values):
        """One optimiser step down the sum of slope dy/dtheta over `passes`; then follow the scale of `values`.

        Slopes are divided by std^2, so that the step does not depend on the units of f.

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
        total, part = np.zeros_like(self.mlp.theta), np.empty_like(self.mlp.theta)
        grads = self.mlp.views(part)
        for cache, slope in passes:
            deltas = self.mlp.deltas(cache, slope[:, None] / self.std)
            for write in self.mlp.weight_gradients(cache, deltas, grads):  # the inputs' gradient is not needed
                write()
            total += part
        first = self.optimizer.t == 0
        self.optimizer.step(self.mlp.theta, total)
        keep = 0.0 if first else self.decay
        self.mean = keep * self.mean + (1 - keep) * float(values.mean())
        self.std = max(keep * self.std + (1 - keep) * float(values.std()), 1e-12)

    def state(self):
        """What was learnt so far, as arrays by name; an empty dict before the first call."""
        if self.mlp is None:
            return {}
        optimizer = {f"optimizer.{name}": np.array(value) for name, value in self.optimizer.state().items()}
        return {
            "theta": self.mlp.theta.copy(),
            "n_inputs": np.array(self.mlp.sizes[0]),
            "scale": np.array([self.mean, self.std]),
            **optimizer,
        }

    def restore(self, state):
        """Go on from what `state` returned; an empty dict is a fresh start."""
        if state:
            self._build(int(state["n_inputs"]))
            self.mlp.theta[:] = state["theta"]
            self.mean, self.std = map(float, state["scale"])
        else:
            self.mlp, self.mean, self.std = None, 0.0, 1.0
        prefix = "optimizer."
        self.optimizer.restore({name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)})

    def __repr__(self):
        return f"hidden={self.hidden}, rate={self.optimizer.rate}, seed={self.seed}"
