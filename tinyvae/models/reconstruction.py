"""What a decoder costs: -log p(x | z), as the target f(z) of a gradient estimator."""

import functools

import numpy as np

from tinyvae import validate
from tinyvae.estimators.contract import Target
from tinyvae.kernels.data import same
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
        self.decoder, self.likelihood, self.x, self.own = decoder, likelihood, x, own or {}
        self._z = self._deltas = None

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
        grads = self.decoder.views(np.empty_like(self.decoder.theta))
        own = {name: np.empty_like(value) for name, value in self.own.items()}
        for task in self.weight_gradient_tasks(z, weights, grads, own):
            task()
        parts = ("decoder", grads), ("likelihood", own)
        return {f"{part}.{name}": array for part, arrays in parts for name, array in arrays.items()}

    def weight_gradient_tasks(self, z, weights, grads, own):
        """Functions, independent of each other, that write the same into the views `grads` and `own`."""
        deltas = self.backward(z)
        weights = weights.reshape(-1)  # S * B
        tasks = self.decoder.weight_gradients(self._cache, deltas, grads, weights)
        if self.own:
            # Bound now: whoever runs it later may find another z remembered.
            tasks.append(functools.partial(self._write_own, self._outputs, weights, own))
        return tasks

    def backward(self, z):
        """dL/da of each decoder layer, (S * B, n_out), for L the sum of all f(z)."""
        self._losses(z)
        if self._deltas is None:
            self._deltas = self.decoder.deltas(self._cache, self._slope)
        return self._deltas

    def inputs(self, z):
        """The input of each decoder layer, (S * B, n_in)."""
        self._losses(z)
        return self._cache.inputs

    def _losses(self, z):
        if self._z is None or z.shape != self._z.shape or not same(z.ravel(), self._z.ravel()):
            z = z.copy()  # an estimator may write into its own
            flat = z.reshape(-1, z.shape[-1])  # S * B, K
            outputs, self._cache = self.decoder.propagate(flat)  # S * B, D (times the numbers a pixel takes)
            losses = self.decoder.empty(z.shape[:2], z.dtype)  # S, B
            self._outputs = outputs.copy() if self.own else None  # for the gradient of its own parameters
            self.likelihood.loss_and_slope(outputs, self.x, losses.reshape(-1), **self.own)
            self._z, self._f, self._slope, self._deltas = z, losses, outputs, None
        return self._f.copy()

    def _dz(self, z):
        return self.decoder.input_gradient(self.backward(z)).reshape(z.shape)

    def _write_own(self, outputs, weights, own):
        x = np.resize(self.x, (len(weights), self.x.shape[1]))  # S * B, D
        found = self.likelihood.own_gradients(outputs, x, weights, **self.own)
        for name, view in own.items():
            validate.check_shape(f"the likelihood's gradient of {name}", np.asarray(found[name]), view.shape)
            view[...] = found[name]
