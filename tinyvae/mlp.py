"""A multilayer perceptron with backprop written by hand.

The parameters are one flat vector, `theta`, with named views into it. Forward and backward are plain
maths: each line below carries the shape of what it computes.

`forward` and `backward` are what a reader calls. Below them stand the parts that training calls, unchecked:
`propagate`, `deltas`, `input_gradient`, `weight_gradients`. They take their arrays from the network's `empty`:
`numpy.empty`, or something of its signature that hands out the same arrays at every step (see `MLP.using`).
"""

import copy
import math
from functools import partial
from typing import NamedTuple

import numpy as np

from tinyvae import validate
from tinyvae.kernels import dense
from tinyvae.machine import workers
from tinyvae.machine.sparse import first_input, product

__all__ = ["MLP", "Activation", "ACTIVATIONS", "Cache", "glorot", "he", "INITIALISERS", "count_parameters"]


class Activation(NamedTuple):
    """What an activation does around a layer's matrix product.

    Attributes
    ----------
    forward : function
        forward(a, b): a <- act(a + b), in place. a (B, n), b (n,).
    backward : function
        backward(dy, saved): dy <- dy act'(a), in place, a being the value before the activation. dy, saved (B, n).
    from_input : bool
        Whether `saved` is that value, x W + b, because the output does not tell the slope; else it is the output.
    init : str
        The initialiser that suits it, a name in INITIALISERS.
    """

    forward: object
    backward: object
    from_input: bool = False
    init: str = "glorot"


ACTIVATIONS = {
    "identity": Activation(dense.bias_identity, dense.identity_backward),
    "tanh": Activation(dense.bias_tanh, dense.tanh_backward),
    "relu": Activation(dense.bias_relu, dense.relu_backward, init="he"),
    "leaky_relu": Activation(dense.bias_leaky_relu, dense.leaky_relu_backward, init="he"),
    "sigmoid": Activation(dense.bias_sigmoid, dense.sigmoid_backward),
    "softplus": Activation(dense.bias_softplus, dense.softplus_backward),
    "elu": Activation(dense.bias_elu, dense.elu_backward, init="he"),
    "gelu": Activation(dense.bias_gelu, dense.gelu_backward, from_input=True, init="he"),
}


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
    """What backward needs of one forward pass, a list entry a layer.

    Attributes
    ----------
    inputs : list of arrays (B, n_in)
        The layer's input: x (which may be `Ones`), then each hidden output.
    saved : list of arrays (B, n_out)
        What its activation needs for the slope.
    """

    inputs: list
    saved: list


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

    @property
    def n_layers(self):
        """How many layers of weights there are, the linear last one included."""
        return len(self.sizes) - 1

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
        self._theta, self.params = theta, self.views(theta)

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
        sizes, dtype = (*(h.shape[1] for h in cache.inputs), cache.saved[-1].shape[1]), cache.saved[-1].dtype
        if (sizes, dtype) != (self.sizes, self.dtype):
            raise ValueError(f"cache must be of sizes {self.sizes} and {self.dtype}, got {sizes} and {dtype}")
        dy = validate.array("dy", dy, (len(cache.inputs[0]), self.sizes[-1]), self.dtype)
        grads = self.views(np.empty_like(self.theta))
        deltas = self.deltas(cache, dy)
        for task in self.weight_gradients(cache, deltas, grads):
            task()
        return self.input_gradient(deltas), grads

    # --- the parts, unchecked -------------------------------------------------------------------------

    def propagate(self, x):
        """`forward`, for x (B, n_in) of the network's dtype or uint8 holding 0 and 1 -> y (B, n_out) and the Cache."""
        hidden, linear = ACTIVATIONS[self.activation], ACTIVATIONS["identity"]
        cache, h = Cache([], []), first_input(x, self.sizes[1], self.dtype, self.empty)
        for layer in range(self.n_layers):
            W, b = self.params[f"W{layer}"], self.params[f"b{layer}"]
            activation = hidden if layer < self.n_layers - 1 else linear
            a = self.empty((len(h), W.shape[1]), self.dtype)
            saved = self.empty(a.shape, self.dtype) if activation.from_input else a

            def rows(part):
                product(h[part], W, out=a[part])  # B, n_out
                if activation.from_input:
                    np.add(a[part], b, out=saved[part])  # B, n_out
                activation.forward(a[part], b)  # B, n_out

            workers.split(rows, len(h), len(h) * W.size)
            cache.inputs.append(h)
            cache.saved.append(saved)
            h = a
        return h, cache

    def deltas(self, cache, dy):
        """dL/dy (B, n_out) -> [dL/da of each layer (B, n_out)], a = x W + b being the value before the activation."""
        backward = ACTIVATIONS[self.activation].backward
        deltas = [dy]
        for layer in range(self.n_layers - 1, 0, -1):
            W = self.params[f"W{layer}"]
            delta, saved, dh = deltas[0], cache.saved[layer - 1], self.empty((len(dy), W.shape[0]), self.dtype)

            def rows(part):
                np.dot(delta[part], W.T, out=dh[part])  # B, n_in
                backward(dh[part], saved[part])  # B, n_in

            workers.split(rows, len(dy), len(dy) * W.size)
            deltas.insert(0, dh)
        return deltas

    def input_gradient(self, deltas):
        """dL/dx (B, n_in) from the first layer's delta."""
        W = self.params["W0"]
        return np.dot(deltas[0], W.T, out=self.empty((len(deltas[0]), W.shape[0]), self.dtype))

    def weight_gradients(self, cache, deltas, grads, weights=None):
        """Functions, independent of each other, the largest first, that write dL/dW = x' delta and dL/db = 1' delta.

        Parameters
        ----------
        cache : Cache
            Of the forward pass.
        deltas : list of arrays (B, n_out)
            As from `deltas`.
        grads : dict
            {"W0": ..., "b0": ..., ...}, written when the functions are called.
        weights : array (B,)
            Multiplies each row's share of the loss: dL/dW = (weights x)' delta. None is 1 for each. Not for an x that
            is `Ones`.

        Returns
        -------
        list of functions
            Of no arguments.
        """
        products, sums = [], []
        for layer, (h, delta) in enumerate(zip(cache.inputs, deltas)):
            dW, db = grads[f"W{layer}"], grads[f"b{layer}"]
            if weights is None:
                sums.append(partial(dense.column_sums, delta, db))  # n_out
            else:
                h = np.multiply(h, weights[:, None], out=self.empty(h.shape, self.dtype))  # B, n_in
                sums.append(partial(np.dot, weights, delta, out=db))  # n_out
            for part in workers.parts(len(dW), len(h) * dW.size):
                products.append(partial(product, h.T[part], delta, out=dW[part]))  # n_in, n_out
        products.sort(key=lambda product: -product.keywords["out"].size)
        return products + sums


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
