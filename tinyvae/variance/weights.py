"""Moments of the gradients of weights.

The encoder's come without forming one for each replicate, the decoder's one by one.
"""

import numpy as np

from tinyvae.kernels.moments import add_replicate
from tinyvae.kernels.units import unit_moments
from tinyvae.machine import team, workers
from tinyvae.machine.arena import Arena
from tinyvae.mlp import ACTIVATIONS, Cache
from tinyvae.objectives import Integrand
from tinyvae.variance.moments import Block

__all__ = ["EncoderWeights", "DecoderWeights", "decoder_gradients"]

DELTAS = 4_000_000  # elements of an encoder layer's deltas that are held at once
UNITS = 200_000  # elements of those that are worked on at once: they should stay in the cache
COVARIANCES = 64_000_000  # elements of a layer's covariances over data points, at most
BATCHES = 8  # of replicates, at least, where there are so many: each is projected on the mean of those before


class EncoderWeights:
    """Moments of the encoder's weight gradients, without forming one for each replicate.

    A layer's input h (B, n_in) is fixed; only delta (B, n_out) varies, and its gradient is h' delta. With C_j, the
    B x B covariance over replicates of delta's column j,

        Var(dW_ij) = h_i' C_j h_i,    ||dW||^2 = sum(delta * (h h' delta)).

    A bias is the weight of one more input, 1; W over b is the layer's part of theta. The encoder's backward
    is linear, so it is applied to the contrasts of its output gradient. Deltas are held as (n_out, R, B):
    one unit's are then one matrix.

    Parameters
    ----------
    mlp : MLP
        The encoder.
    cache : Cache
        Of its forward pass on the batch of B data points.
    n_draws : int
        How many replicates will come.

    Attributes
    ----------
    rows : int
        B.
    inputs : list of array (B, n_in + 1)
        Each layer's input, with a column of ones.
    grams : list of array (B, B)
        h h' of each.
    slopes : list of array (n_out, 1, B)
        Each hidden layer's activation's slope.
    by_covariance : list of bool
        Whether a layer's sums are those of C_j.
    sums : list of array (n_out, B, B) or (n_out, n_in + 1)
        Each layer's, over replicates: of C_j's products, or of squared gradients.
    squares, projections : list of array
        ||u_r||^2, and u_r' times a mean of replicates before, for those worked on so far.
    at_once : int
        How many replicates are worked on at once.
    units : int
        How many units are.
    """

    def __init__(self, mlp, cache, n_draws):
        self.mlp, self.rows = mlp, len(cache.x)
        ones, inputs = np.ones((self.rows, 1), mlp.dtype), (cache.x, *mlp.hidden_layers(cache.hidden))
        self.inputs = [np.concatenate([h, ones], axis=1) for h in inputs]  # B, n_in + 1
        self.grams = [h @ h.T for h in self.inputs]  # B, B
        self.slopes = [self._slope(saved) for saved in mlp.hidden_layers(cache.saved)]
        self.by_covariance = [self._covariance_pays(h.shape[1], n, n_draws) for h, n in zip(self.inputs, mlp.sizes[1:])]
        self.sums = [
            np.zeros((n, self.rows, self.rows) if pays else (n, h.shape[1]), mlp.dtype)
            for h, n, pays in zip(self.inputs, mlp.sizes[1:], self.by_covariance)
        ]
        self.squares, self.projections, self.waiting, self.empty = [], [], [], Arena()
        self.at_once = max(1, min(DELTAS // (self.rows * max(mlp.sizes[1:])), n_draws // BATCHES))
        self.units = max(1, UNITS // (self.rows * self.at_once))

    def _slope(self, saved):
        """The activation's slope, fixed over replicates: (n_out, 1, B)."""
        slope = np.ones_like(saved)
        ACTIVATIONS[self.mlp.activation].backward(slope, saved)
        return np.ascontiguousarray(slope.T)[:, None, :]

    def _covariance_pays(self, n_in, n_out, n_draws):
        """Fewer multiplications than gradient by gradient (both have a factor B n_out), and room to hold C."""
        fewer = self.rows * (n_draws + n_in) < n_draws * n_in
        return fewer and n_out * self.rows**2 <= COVARIANCES

    def add(self, u, before):
        """Contrasts of dL/dparams and the means before them, each (R, B, P), before division by B."""
        for start in range(len(u)):  # gathered: the covariances want long products
            if not self.waiting:
                self.before = before[start]
            self.waiting.append(u[start])
            if len(self.waiting) == self.at_once:
                self._flush()

    def _flush(self):
        if not self.waiting:
            return
        u = np.stack(self.waiting)
        self.waiting = []
        squares = 0.0
        for layer, delta in enumerate(self._deltas(u)):
            if self.by_covariance[layer]:
                found, room = np.empty((len(delta), len(u)), delta.dtype), self.empty(delta.shape, delta.dtype)
                moments = len(delta), len(u), self.rows, delta, self.grams[layer], self.sums[layer], found, room
                team.run(delta.dtype, (unit_moments, *moments))
                squares = squares + found.sum(axis=0, dtype="float64")
                continue
            for start in range(0, len(delta), self.units):
                part = slice(start, start + self.units)
                units = delta[part]  # n, R, B
                product = np.dot(units.reshape(-1, self.rows), self.grams[layer]).reshape(units.shape)  # n, R, B
                squares = squares + np.einsum("jrb,jrb->r", units, product)
                self.sums[layer][part] += [np.square(unit @ self.inputs[layer]).sum(axis=0) for unit in units]
        self.squares.append(squares)
        self.projections.append(np.einsum("rbk,bk->r", u, self._image(self.before)))

    def _deltas(self, dparams):
        """dL/da of each layer, (n_out, R, B), from dL/dparams (R, B, P)."""
        self.empty.rewind()
        n_draws = len(dparams)
        dy = (dparams / self.rows).astype(self.mlp.dtype)
        deltas = [np.ascontiguousarray(dy.reshape(-1, dy.shape[-1]).T).reshape(-1, n_draws, self.rows)]
        for layer in range(self.mlp.n_layers - 1, 0, -1):
            W = self.mlp.params[f"W{layer}"]
            delta = self.empty((len(W), n_draws * self.rows), self.mlp.dtype)
            np.dot(W, deltas[0].reshape(len(deltas[0]), -1), out=delta)
            deltas.insert(0, delta.reshape(-1, n_draws, self.rows))  # n_in, R, B
            deltas[0] *= self.slopes[layer - 1]
        return deltas

    def _image(self, dparams):
        """What has the inner product with dL/dparams that their weight gradients have with `dparams`' (B, P)."""
        image = 0.0
        for layer, delta in enumerate(self._deltas(dparams[None])):
            product = np.dot(delta[:, 0], self.grams[layer])  # n_out, B
            if layer:
                product += np.dot(self.mlp.params[f"W{layer}"].T, self.slopes[layer - 1][:, 0] * image)
            image = product
        return image.T / self.rows  # B, P

    def _layer_sums(self, layer):
        """Sums of squared gradients, (n_in + 1, n_out)."""
        if not self.by_covariance[layer]:
            return self.sums[layer].T
        h = self.inputs[layer]

        def quadratic_forms(start):
            """h_i' C_j h_i for some units j: a list of (n_in + 1,)."""
            return [np.einsum("bi,bi->i", h, C @ h) for C in self.sums[layer][start : start + 50]]

        found = workers.run(quadratic_forms, range(0, len(self.sums[layer]), 50))
        sums = np.stack([forms for some in found for forms in some], axis=1)
        return np.maximum(sums, 0)  # rounding may leave a zero just below it

    def finish(self, mean):
        """The Block of the encoder's weights, from the mean of dL/dparams, (B, P)."""
        self._flush()
        squares, projections = (np.concatenate(s).astype("float64") for s in (self.squares, self.projections))
        means = [np.dot(h.T, delta[:, 0].T) for h, delta in zip(self.inputs, self._deltas(mean[None]))]
        variance = np.concatenate([self._layer_sums(layer).ravel() for layer in range(self.mlp.n_layers)]) / (
            len(squares) - 1
        )
        return Block(np.concatenate([m.ravel() for m in means]), variance, squares, projections)


class DecoderWeights:
    """Moments of the decoder's weight gradients: here every layer's input varies, so they are formed one by one.

    Parameters
    ----------
    mlp : MLP
        The decoder.

    Attributes
    ----------
    mean : array (P,)
        Of the gradients so far.
    sums : array (P,)
        Of squared contrasts.
    totals : list of array (2,)
        [||u_r||^2, u_r' m_{r-1}] of each replicate, float64.
    """

    def __init__(self, mlp):
        self.mean, self.sums = np.zeros_like(mlp.theta), np.zeros_like(mlp.theta)
        self.totals = []

    def add(self, gradients):
        """One chunk, (R, P): what `Contrasts` does, one replicate at a time and in place."""
        for gradient in gradients:
            self.totals.append(np.empty(2))
            add_replicate(gradient, self.mean, self.sums, self.totals[-1], len(self.totals))

    def finish(self):
        """The moments of all that was added, a Block of (P,)."""
        squares, projections = np.transpose(self.totals)
        return Block(self.mean, self.sums / (len(squares) - 1), squares, projections)


def decoder_gradients(mlp, q, target, z, objective, rows):
    """Each replicate's gradient of the decoder's weights, at z.

    Parameters
    ----------
    mlp : MLP
        The decoder.
    q : DiagonalGaussian or another distribution
        R replicates side by side, one for each of R * B rows.
    target : Reconstruction
        -log p(x | z), with the decoder's passes.
    z : array (S, R * B, K)
        The samples.
    objective : ELBO or ImportanceWeighted
        It weighs the samples.
    rows : int
        B.

    Returns
    -------
    array (R, P)
        The gradients of the loss, the mean over the B data points.
    """
    losses = Integrand(q, target, objective)(z)  # S, R * B
    weights = (objective.weights(losses) / rows).astype(z.dtype, copy=False)
    (slope, deltas), cache = target.backward(z), target.cache(z)
    gradients = np.empty((z.shape[1] // rows, len(mlp.theta)), mlp.dtype)
    for r, gradient in enumerate(gradients):

        def replicate(array):
            """The rows of replicate r, (S * B, n), of an array (S * R * B, n)."""
            return array.reshape(len(z), -1, rows, array.shape[-1])[:, r].reshape(-1, array.shape[-1])

        def replicates(flat):
            return np.concatenate([np.empty(0, mlp.dtype), *(replicate(a).ravel() for a in mlp.hidden_layers(flat))])

        part = Cache(mlp.sizes, replicate(cache.x), replicates(cache.hidden), cache.hidden)
        weights_r = np.ascontiguousarray(replicate(weights.reshape(-1, 1)).ravel())
        mlp.weight_gradients(part, np.ascontiguousarray(replicate(slope)), replicates(deltas), gradient, weights_r)
    return gradients
