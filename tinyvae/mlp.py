"""A multilayer perceptron with backprop written by hand.

The parameters are one flat vector, `theta`, with named views into it. The maths, a few lines each, is in
`kernels/passes.py`: `forward_numpy`, `deltas_numpy` and `weight_gradients_numpy`. Here are the parameters, the checks,
and the calls of these passes.

`forward` and `backward` are what a reader calls. Below them stand the parts that training calls, unchecked:
`propagate`, `deltas`, `weight_gradients`, `backpropagate`. They take their arrays from the network's `empty`:
`numpy.empty`, or something of its signature that hands out the same arrays at every step (see `MLP.using`).
"""

import copy
import functools
import math
from typing import NamedTuple

import numpy as np

from tinyvae import validate
from tinyvae.activations import ACTIVATIONS
from tinyvae.kernels import first_layer, passes
from tinyvae.machine import team
from tinyvae.machine.arena import remember

__all__ = ["MLP", "ACTIVATIONS", "Cache", "glorot", "he", "INITIALISERS", "count_parameters"]


WORD = np.dtype("int64")
LEAST_UNITS = 100  # of a first layer that adds up rows for the ones among bits: with fewer, a product is as quick


def glorot(rng, n_in, n_out):
    """Uniform weights of variance 2 / (n_in + n_out).

    Parameters
    ----------
    rng : numpy.random.Generator
    n_in, n_out : int
        The layer's inputs and outputs.

    Returns
    -------
    array (n_in, n_out)
        float64.

    Notes
    -----
    Source: Glorot & Bengio 2010, eq. 16.
    """
    bound = np.sqrt(6.0 / (n_in + n_out))
    return rng.uniform(-bound, bound, (n_in, n_out))


def he(rng, n_in, n_out):
    """Normal weights of variance 2 / n_in, for the relu family.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_in, n_out : int
        The layer's inputs and outputs.

    Returns
    -------
    array (n_in, n_out)
        float64.

    Notes
    -----
    Source: He et al. 2015, eq. 10.
    """
    return rng.standard_normal((n_in, n_out)) * np.sqrt(2.0 / n_in)


INITIALISERS = {"glorot": glorot, "he": he}


class Cache(NamedTuple):
    """What backward needs of one forward pass. `MLP.hidden_layers` gives the views into `hidden` and `saved`.

    Attributes
    ----------
    sizes : tuple of int
        The network's.
    x : array (B, n_in)
        The input.
    hidden : array (B * (n_1 + ...),)
        Each hidden layer's output, one behind the other.
    saved : array (B * (n_1 + ...),)
        Likewise what the activation needs for its slope.
    """

    sizes: tuple
    x: np.ndarray
    hidden: np.ndarray
    saved: np.ndarray


class MLP:
    """Dense layers; the last one is linear.

        y = act(x W + b)

    Parameters
    ----------
    sizes : tuple of int
        (n_in, ..., n_out), at least two.
    activation : str
        "identity", "tanh", "relu", "leaky_relu" (slope 0.01), "sigmoid", "softplus", "elu" or "gelu" (exact, with erf).
    dtype : str or numpy.dtype
        "float32" or "float64".
    rng : numpy.random.Generator
        For the initial weights. Biases start at zero.
    init : str
        "glorot" or "he"; None takes He for relu, leaky_relu, elu and gelu, Glorot for the others, and Glorot for the
        linear last layer.

    Attributes
    ----------
    theta : array (P,)
        All parameters. What is assigned to it is copied in, so that the views stay views.
    params : dict
        {"W0": (n_in, n_out), "b0": (n_out,), ...}, views into theta.
    sizes, activation, dtype
        As given.
    empty : function
        Where the arrays come from: numpy.empty, or what `using` was given.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, for sizes, names or generators that do not fit.
    """

    def __init__(self, sizes, activation="tanh", dtype="float32", *, rng, init=None):
        sizes = validate.sizes("sizes", sizes)
        if len(sizes) < 2:
            raise ValueError(f"sizes must name at least an input and an output, (n_in, ..., n_out), got {sizes}")
        validate.choice("activation", activation, ACTIVATIONS)
        validate.generator("rng", rng)
        self.sizes, self.activation, self.dtype = sizes, activation, validate.dtype_of(dtype)
        self.empty = np.empty
        hidden = validate.choice("init", init or ACTIVATIONS[activation].init, INITIALISERS)
        self.bind(np.zeros(count_parameters(sizes), self.dtype))
        for layer, (n_in, n_out) in enumerate(zip(sizes, sizes[1:])):
            linear = layer == self.n_layers - 1
            draw = INITIALISERS["glorot" if linear and init is None else hidden]
            self.params[f"W{layer}"][:] = draw(rng, n_in, n_out)

    n_layers = property(
        lambda self: len(self.sizes) - 1, doc="How many layers of weights there are, the last included."
    )

    @property
    def n_params(self):
        """How many weights and biases it has."""
        return count_parameters(self.sizes)

    @property
    def theta(self):
        """All parameters, (P,); what is assigned is copied in. Raises ValueError or TypeError if it does not fit."""
        return self._theta

    @theta.setter
    def theta(self, value):
        self._theta[:] = validate.array("theta", value, self._theta.shape, self.dtype)

    def bind(self, theta):
        """Let the parameters live in `theta` (P,), as it is: its numbers are not changed."""
        self._theta, self.params = remember(theta), self.views(theta)

    def __getstate__(self):
        # For copy and pickle: a copied view is a view no more, so that those into theta are made anew.
        return {name: value for name, value in vars(self).items() if name != "params"}

    def __setstate__(self, state):
        vars(self).update(state)
        if "_theta" in state:  # else the model that it is part of binds it
            self.bind(self._theta)

    def unbound(self):
        """This network without parameters, until `bind` gives it some."""
        other = object.__new__(type(self))
        vars(other).update({name: value for name, value in vars(self).items() if name not in ("_theta", "params")})
        return other

    def using(self, empty):
        """This network, the parameters shared, with its arrays from `empty` (shape, dtype)."""
        other = copy.copy(self)
        other.empty = empty
        return other

    def views(self, flat):
        """{"W0": ..., "b0": ..., ...}: named views into a flat vector (P,)."""
        views, start = {}, 0
        for layer, (n_in, n_out) in enumerate(zip(self.sizes, self.sizes[1:])):
            for name, shape in ((f"W{layer}", (n_in, n_out)), (f"b{layer}", (n_out,))):
                stop = start + math.prod(shape)
                views[name] = flat[start:stop].reshape(shape)
                start = stop
        return views

    def forward(self, x):
        """y = f(x). x (B, n_in) -> y (B, n_out) and the Cache that `backward` takes.

        Raises
        ------
        ValueError, TypeError
            If x is not finite or not of the network's dtype and width.
        """
        return self.propagate(validate.array("x", x, ("B", self.sizes[0]), self.dtype))

    def backward(self, cache, dy):
        """From dL/dy (B, n_out) to dL/dx (B, n_in) and {"W0": dL/dW0, "b0": dL/db0, ...}.

        Raises
        ------
        ValueError, TypeError
            If dy is not finite or not of the network's dtype and the output's shape, or the cache not of this network.
        """
        if not isinstance(cache, Cache):
            raise TypeError(f"cache must be the Cache that forward returned, got {type(cache).__name__}")
        got = cache.sizes, cache.hidden.dtype
        if got != (self.sizes, self.dtype):
            raise ValueError(f"cache must be of sizes {self.sizes} and {self.dtype}, got {got[0]} and {got[1]}")
        dy = validate.array("dy", dy, (len(cache.x), self.sizes[-1]), self.dtype)
        flat, dx = np.empty_like(self.theta), np.empty((len(dy), self.sizes[0]), self.dtype)
        self.backpropagate(cache, dy, flat, dx=dx)
        return dx, self.views(flat)

    # --- the parts, unchecked -------------------------------------------------------------------------

    def propagate(self, x, then=lambda y: ()):
        """`forward`, for x (B, n_in) of the network's dtype or uint8 holding 0 and 1 -> y (B, n_out) and the Cache.

        then(y): the passes that are to follow in the same call, see `team.run`.
        """
        x = self._first_input(x)
        rows, sizes, theta, activation = len(x), self.sizes, self.theta, ACTIVATIONS[self.activation]
        y = self.empty((rows, sizes[-1]), self.dtype)
        hidden = self.empty((rows * sum(sizes[1:-1]),), self.dtype)
        saved = self.empty(hidden.shape, self.dtype) if activation.from_input else hidden
        (act, _), cache, calls = _typed(self.activation, self.dtype), Cache(sizes, x, hidden, saved), ()
        if x.dtype != self.dtype:
            n_in, n_out = sizes[:2]
            room = self.empty(first_layer.places_shape(rows, n_in, first_layer.POINTS), WORD)
            calls = ((first_layer.first_forward, act, rows, n_in, n_out, theta, x, hidden, saved, room),)
            sizes, theta, x = sizes[1:], theta[(n_in + 1) * n_out :], hidden[: rows * n_out].reshape(rows, n_out)
            hidden = hidden[rows * n_out :]
            saved = saved[rows * n_out :] if activation.from_input else hidden
        forward = passes.forward, act, sizes, rows, theta, x, hidden, saved, y
        team.run(self.dtype, *calls, forward, *then(y))
        return y, cache

    def deltas(self, cache, dy, dx=None):
        """From dL/dy (B, n_out) to dL/da of the hidden layers (B * (n_1 + ...),), a = x W + b; dx <- dL/dx, if any."""
        d, call = self._deltas(cache, dy, dx)
        team.run(self.dtype, call)
        return d

    def weight_gradients(self, cache, dy, d, grads, weights=None):
        """Write dL/dW = (weights h)' delta and dL/db = weights' delta of each layer into grads (P,), laid out as theta.

        Parameters
        ----------
        cache : Cache
            Of the forward pass.
        dy : array (B, n_out)
            dL/dy.
        d : array (B * (n_1 + ...),)
            As from `deltas`.
        grads : array (P,)
            Written.
        weights : array (B,)
            Multiplies each row's share of the loss; None is 1 for each. Not for an x of bits.
        """
        team.run(self.dtype, *self._weight_gradients(cache, dy, d, grads, weights))

    def backpropagate(self, cache, dy, grads, weights=None, dx=None):
        """`deltas`, and then `weight_gradients` of them, in one call; what `deltas` returns."""
        d, call = self._deltas(cache, dy, dx)
        team.run(self.dtype, call, *self._weight_gradients(cache, dy, d, grads, weights))
        return d

    def _deltas(self, cache, dy, dx):
        d = self.empty(cache.hidden.shape, self.dtype)
        _, slope = _typed(self.activation, self.dtype)
        return d, (passes.deltas, slope, self.sizes, len(dy), self.theta, dy, cache.saved, d, dx)

    def _weight_gradients(self, cache, dy, d, grads, weights):
        rows, x, hidden, sizes, calls = len(dy), cache.x, cache.hidden, self.sizes, ()
        if x.dtype != self.dtype:
            n_in, n_out = sizes[:2]
            room = self.empty(first_layer.places_shape(n_in, rows, first_layer.PIXELS), WORD)
            calls = ((first_layer.first_gradient, rows, n_in, n_out, x, d, grads, room),)
            n = rows * n_out
            sizes, grads, x, hidden, d = sizes[1:], grads[(n_in + 1) * n_out :], hidden[:n], hidden[n:], d[n:]
        weighted = None if weights is None else self.empty((rows * sum(sizes[:-1]),), self.dtype)
        return *calls, (passes.weight_gradients, sizes, rows, x, hidden, dy, d, weights, weighted, grads)

    def hidden_layers(self, flat):
        """[(B, n_1), ...]: views into what holds the hidden layers' arrays one behind the other."""
        return passes.hidden_of(self.sizes, len(flat) // max(1, sum(self.sizes[1:-1])), flat)

    def _first_input(self, x):
        """x as it is where its bits are to be added up, else of the network's dtype, contiguous."""
        bits = x.dtype == np.uint8 and len(self.sizes) > 2 and self.sizes[1] >= LEAST_UNITS
        if x.dtype == self.dtype or bits:
            return np.ascontiguousarray(x)
        dense = self.empty(x.shape, self.dtype)
        dense[...] = x
        return dense


@functools.cache
def _typed(activation, dtype):
    """An activation's two loops, for a pass."""
    forward, backward, *_ = ACTIVATIONS[activation]
    return team.Typed(forward, (dtype, 2), (dtype, 1)), team.Typed(backward, (dtype, 2), (dtype, 2))


def count_parameters(sizes):
    """How many weights and biases an MLP of these sizes has.

    Parameters
    ----------
    sizes : tuple of int
        (n_in, ..., n_out).

    Returns
    -------
    int
    """
    return sum(n_in * n_out + n_out for n_in, n_out in zip(sizes, sizes[1:]))
