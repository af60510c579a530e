"""The plain autoencoder: no distribution over codes, no prior, no noise; what a VAE is compared with."""

import numpy as np

from tinyvae import validate
from tinyvae.evaluate import Bound
from tinyvae.machine import disk
from tinyvae.models.model import Model
from tinyvae.models.reconstruction import finite
from tinyvae.models.step import Step

__all__ = ["Autoencoder"]


class Autoencoder(Model):
    """An encoder and a decoder, trained to give the data back: a VAE without its q and its prior.

        loss = -log p(x | z),  z = encoder(x);  p(x | z) = likelihood(decoder(z))

    It has no p(z): there is nothing to draw from, and no likelihood of x. It trains through `tv.train` and `tv.fit`,
    which take neither estimator nor objective, noise nor n_samples for it.

    Parameters
    ----------
    n_features, n_latents : int
        D pixels, K numbers in a code.
    hidden : tuple of int
        The encoder's hidden layers, which the decoder mirrors.
    activation : str
        Of the hidden layers, see `MLP`.
    likelihood : str or a likelihood
        What the decoder says of a pixel, see `tinyvae.likelihoods`.
    dtype : str
        "float32" or "float64".
    seed : int
        Of the initial weights.

    Attributes
    ----------
    theta : array (P,)
        All parameters: the encoder's, the decoder's, the likelihood's own. What is assigned to it is copied in.
    encoder, decoder : MLP
        Their parameters are views into theta.
    own : dict
        {name: array}, the likelihood's own parameters, views into theta.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit; the message names it.

    Notes
    -----
    Source: Rumelhart, Hinton & Williams 1986.
    """

    format = "tinyvae.Autoencoder 1"

    def __init__(
        self, n_features, n_latents, hidden=(200,), activation="tanh", likelihood="bernoulli", dtype="float32", seed=0
    ):
        self._make(n_features, n_latents, hidden, activation, likelihood, dtype, seed)
        self._fill(self.n_latents)

    def encode(self, x):
        """The codes z. x (n, D) -> (n, K)."""
        z, _ = self.encoder.propagate(self.check_data(x).astype(self.dtype, copy=False))
        return z

    def reconstruct(self, x):
        """The mean of p(x | z) at the code of x. x (n, D) -> (n, D)."""
        return self.decode(self.encode(x)).mean

    def held_out(self, x, batch_size=1000):
        """The mean loss of held-out data x (n, D), nats, as a `Bound` whose KL is 0; batch_size: rows held at once.

        Raises ValueError or TypeError for data that do not fit, NonFiniteLoss if the loss is not finite.
        """
        x, total = self.check_data(x), 0.0
        for start in range(0, len(x), batch_size):
            piece = x[start : start + batch_size].astype(self.dtype, copy=False)
            disk.release(x)
            total += float(self.target(piece)(self.encode(piece)[None]).sum(dtype="float64"))
        return Bound(total / len(x), total / len(x), 0.0)

    def step(self, x, grads):
        """One gradient of one batch. All arguments are checked already.

        Parameters
        ----------
        x : array (B, D)
            Data, of the model's dtype, or uint8 holding 0 and 1.
        grads : array, as long as `theta`
            Written: the gradient of the batch's mean loss, in theta's order.

        Returns
        -------
        Step
            The loss, nats, all of it reconstruction.

        Raises
        ------
        NonFiniteLoss
            If the loss or the slope at the code is not finite.
        """
        encoder_grads, decoder_grads, own_grads, _ = self.gradient_views(grads)
        z, cache = self.encoder.propagate(x)  # B, K
        target, z = self.target(x), z[None]  # 1, B, K
        loss = finite("the reconstruction term", float(target(z).sum()) / len(x))
        target.write_weight_gradients(z, np.full((1, len(x)), 1 / len(x), self.dtype), decoder_grads, own_grads)
        dz = finite("the gradient of the code", target.grad(z)[0] / len(x))  # B, K
        self.encoder.backpropagate(cache, dz.astype(self.dtype, copy=False), encoder_grads)
        return Step(loss, loss, 0.0)

    def loss_and_grads(self, x):
        """The mean loss of a batch and its gradient. x (B, D) -> nats, float, and (P,), aligned with theta.

        Raises ValueError or TypeError for data that do not fit, NonFiniteLoss if the loss is not finite.
        """
        x = self.check_data(x)
        x = x.astype(self.dtype, copy=False) if x.dtype.kind == "f" else x
        grads = np.empty_like(self.theta)
        loss = self.step(x, grads).loss
        validate.check_finite("the gradient", grads)
        return loss, grads
