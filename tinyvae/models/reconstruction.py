"""What a decoder costs: -log p(x | z), as the target f(z) of a gradient estimator."""

import functools

import numpy as np

from tinyvae import validate
from tinyvae.estimators.contract import Target
from tinyvae.kernels import passes
from tinyvae.kernels.data import same
from tinyvae.machine import team
from tinyvae.objectives import NonFiniteLoss, finite

__all__ = ["Reconstruction", "NonFiniteLoss", "finite"]


class Reconstruction(Target):
    """f(z) = -log p(x | z), nats, as a target: z (S, B, K) -> (S, B).

    The last z asked about is remembered with its decoder pass, so that value, dz and the weights'
    gradient at one z cost one forward and one backward pass between them.

    Parameters
    ----------
    decoder : MLP
        From z to the numbers that the likelihood takes.
    likelihood : a likelihood
        See `tinyvae.likelihoods`.
    x : array (B, D)
        Data, of the decoder's dtype, or uint8 holding 0 and 1.
    own : dict, optional
        {name: array}, the present values of the likelihood's own parameters.
    """

    def __init__(self, decoder, likelihood, x, own=None):
        super().__init__(self._losses, self._dz)
        x = np.ascontiguousarray(x, None if x.dtype == np.uint8 else decoder.dtype)
        self.decoder, self.likelihood, self.x, self.own = decoder, likelihood, x, own or {}
        self._z = self._deltas = None
        self._keeps = bool(self.own)  # the decoder's outputs, which the loss overwrites with its slope

    def using(self, empty):
        """The same target, with nothing remembered and its arrays from `empty`."""
        return Reconstruction(self.decoder.using(empty), self.likelihood, self.x, self.own)

    def check_finite(self, name, result):
        """Raise NonFiniteLoss, naming the term, unless all of `result` is finite."""
        what = "term" if name == "value" else "term's slope"
        finite(f"the reconstruction {what}", result)

    def weight_gradients(self, z, weights):
        """d sum_sb weights f(z) / d of the decoder's parameters and the likelihood's own. z (S, B, K), weights (S, B).

        Returns {"decoder.W0": ..., ..., "likelihood.NAME": ...}, arrays of the parameters' shapes.
        """
        grads, own = np.empty_like(self.decoder.theta), {name: np.empty_like(a) for name, a in self.own.items()}
        self.write_weight_gradients(z, weights, grads, own)
        parts = ("decoder", self.decoder.views(grads)), ("likelihood", own)
        return {f"{part}.{name}": array for part, arrays in parts for name, array in arrays.items()}

    def write_weight_gradients(self, z, weights, grads, own):
        """Write the same into grads (P,), laid out as the decoder's theta, and into the views `own`."""
        shares, weights = weights, self.decoder.empty((weights.size,), self.decoder.dtype)  # S * B
        weights[:] = shares.reshape(-1)
        self._losses(z)
        if self._deltas is None:
            self._dx = self.decoder.empty((len(weights), z.shape[-1]), self.decoder.dtype)
            self._deltas = self.decoder.backpropagate(self._cache, self._slope, grads, weights, self._dx)
        else:
            self.decoder.weight_gradients(self._cache, self._slope, self._deltas, grads, weights)
        if self.own:
            self._write_own(self._outputs, weights, own)

    def backward(self, z):
        """For L the sum of all f(z): dL/dy (S * B, n_out) of the decoder, and dL/da as from `MLP.deltas`."""
        self._losses(z)
        if self._deltas is None:
            self._dx = self.decoder.empty((len(self._slope), z.shape[-1]), self.decoder.dtype)
            self._deltas = self.decoder.deltas(self._cache, self._slope, self._dx)
        return self._slope, self._deltas

    def cache(self, z):
        """Of the decoder's forward pass at z."""
        self._losses(z)
        return self._cache

    def outputs(self, z):
        """What the decoder says at z: (S * B, n_out). From then on it is remembered with the rest."""
        if not self._keeps:
            self._keeps, self._z = True, None
        self._losses(z)
        return self._outputs

    def _losses(self, z):
        if self._z is None or z.shape != self._z.shape or not same(z.ravel(), self._z.ravel()):
            dtype = self.decoder.dtype
            flat = self.decoder.empty((z.shape[0] * z.shape[1], z.shape[2]), dtype)  # S * B, K
            flat[...] = z.reshape(flat.shape)  # a copy: an estimator may write into its own
            z = flat.reshape(z.shape)
            losses = self.decoder.empty(z.shape[:2], dtype)  # S, B
            loop, numbers = self._loop_and_numbers()
            # What the decoder says: for the gradient of the likelihood's own parameters, or as asked for.
            kept = self.decoder.empty((len(flat), self.decoder.sizes[-1]), dtype) if self._keeps else None

            def then(outputs):
                return self._passes(loop, numbers, outputs, losses, kept) if loop else ()

            # S * B, D (times the numbers a pixel takes)
            outputs, self._cache = self.decoder.propagate(flat, then)
            if not loop:
                if self._keeps:
                    kept[...] = outputs
                self.likelihood.loss_and_slope(outputs, self.x, losses.reshape(-1), **self.own)
            self._outputs = kept
            self._z, self._f, self._slope, self._deltas = z, losses, outputs, None
        return self._f.copy()

    def _loop_and_numbers(self):
        """The likelihood's loop for a pass, and the numbers that it takes; no loop where it is not compiled."""
        numbers, loop = None, self.likelihood.loss_and_slope
        if hasattr(self.likelihood, "loop_and_numbers"):
            loop, numbers = self.likelihood.loop_and_numbers(self.x.shape[1], self.decoder.dtype, **self.own)
        elif self.own:
            return None, None
        return (loop, numbers) if hasattr(loop, "twin") else (None, None)

    def _passes(self, loop, numbers, outputs, losses, kept):
        """The pass that follows the decoder's: the loss."""
        typed = _typed(loop, outputs.dtype.char, self.x.dtype.char, numbers is not None)
        bits, n = int(self.x.dtype == np.uint8), 0 if numbers is None else len(numbers)
        pixels = *self.x.shape, bits, self.x
        return ((passes.losses, typed, *outputs.shape, outputs, *pixels, losses, n, numbers, kept),)

    def _dz(self, z):
        self.backward(z)
        return self._dx.reshape(z.shape).copy()

    def _write_own(self, outputs, weights, own):
        x = self.x if len(self.x) == len(weights) else np.resize(self.x, (len(weights), self.x.shape[1]))  # S * B, D
        found = self.likelihood.own_gradients(outputs, x, weights, **self.own)
        for name, view in own.items():
            validate.check_shape(f"the likelihood's gradient of {name}", np.asarray(found[name]), view.shape)
            view[...] = found[name]


@functools.cache
def _typed(loop, real, pixel, numbers):
    """A likelihood's loop, for a pass; real, pixel: the characters of the outputs' and the data's dtype."""
    real, pixel = np.dtype(real), np.dtype(pixel)
    return team.Typed(loop, (real, 2), (pixel, 2), (real, 1), *[(real, 1)] * numbers)
