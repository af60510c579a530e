"""The variational autoencoder: encoder, prior and decoder, and what a user asks of them."""

import functools
import math

import numpy as np

from tinyvae import distributions, estimators, evaluate, validate
from tinyvae.models.model import Model
from tinyvae.models.step import loss_and_grads, step
from tinyvae.noise import independent
from tinyvae.objectives import ELBO, check_objective

__all__ = ["VAE"]


class VAE(Model):
    """A variational autoencoder: an encoder, a prior and a decoder, with theta, all their parameters, in one vector.

        p(z) = N(0, I);  p(x | z) = likelihood(decoder(z));  q(z | x) = N(mu, exp(logvar)), [mu, logvar] = encoder(x)

    Parameters
    ----------
    n_features, n_latents : int
        D pixels, K latents.
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
    latents : str or a class of distributions
        What q is, see `tinyvae.distributions`: "gaussian", "full_gaussian", "binary" (bits), "categorical" (one of ten
        ways each; `tv.distributions.OneHot(n_ways)` for another number).
    prior : Prior or str, optional
        Of the latents; None for the one that belongs to them: N(0, I) for a Gaussian, fair bits, ways all alike.

    Attributes
    ----------
    theta : array (P,)
        All parameters: the encoder's, the decoder's, the likelihood's own and the prior's. What is assigned to it is
        copied in.
    encoder, decoder : MLP
        Their parameters are views into theta.
    own : dict
        {name: array}, the likelihood's own parameters, views into theta.
    prior : Prior
        Of the latents; one that learns holds views into theta.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit; the message names it.

    Notes
    -----
    A copy, and what is unpickled, has a theta and views of its own. Views that a subclass keeps in other attributes are
    not made anew: let it take them from `params` when it needs them.

    Source: Kingma & Welling 2014.
    """

    format = "tinyvae.VAE 1"
    known = Model.known | {"latents": distributions.LATENTS, "prior": distributions.PRIORS}

    def __init__(
        self,
        n_features,
        n_latents,
        hidden=(200,),
        activation="tanh",
        likelihood="bernoulli",
        dtype="float32",
        seed=0,
        latents="gaussian",
        prior=None,
    ):
        self._make(n_features, n_latents, hidden, activation, likelihood, dtype, seed)
        self.family = distributions.resolve(latents)
        self.prior = distributions.resolve_prior(prior, self.family, self.n_latents)
        self._fill(self.family.n_params(self.n_latents))

    @property
    def code_size(self):
        """How many numbers a code z has: K, or K groups of several."""
        size = getattr(self.family, "code_size", int)  # one's own need not say that a latent is one number
        return size(self.n_latents)

    @property
    def n_states(self):
        """How many z there are, of bits and choices; infinitely many where latents are real numbers."""
        return self.family.n_states(self.n_latents) if hasattr(self.family, "n_states") else math.inf

    @property
    def config(self):
        """The arguments, by name, that make this VAE as it was before training."""
        # Written where they are not the default.
        other = {"latents": distributions.config_of(self.family), "prior": self.prior.name}
        return super().config | {
            name: word for name, word in other.items() if word not in ("gaussian", self.family.prior.name)
        }

    # --- using the model --------------------------------------------------------------------------

    def encode(self, x):
        """q(z | x). x (n, D) -> a distribution of (n, K), a DiagonalGaussian unless the model says otherwise."""
        params, _ = self.encoder.propagate(self.check_data(x).astype(self.dtype, copy=False))
        return self.latents(params)

    def sample(self, n, rng):
        """The means of p(x | z) for n draws z from the prior, (n, D)."""
        validate.generator("rng", rng)
        return self.decode(self.prior.sample(rng, validate.integer("n", n, least=0), self.n_latents, self.dtype)).mean

    def reconstruct(self, x):
        """The mean of p(x | z) at q's most probable z, which is a Gaussian's mean. x (n, D) -> (n, D)."""
        q = self.encode(x)
        return self.decode(np.ascontiguousarray(getattr(q, "mode", q.mean))).mean

    def log_likelihood(self, x, n_samples=5000, rng=None):
        """An estimate of log p(x), nats, (n,), from importance samples: the value of `tv.evaluate.log_likelihood`."""
        return evaluate.log_likelihood(self, x, n_samples, rng).value

    def held_out(self, x):
        """The negative ELBO of held-out data x (n, D) and its two terms, nats, a `Bound`: see `tv.evaluate.bound`."""
        return evaluate.bound(self, x)

    # --- what training and measuring ask ------------------------------------------------------------

    def latents(self, params):
        """q of the encoder's output params (B, P), unchecked, with the model's prior."""
        return self.family.from_params(params, self.prior)

    def states(self):
        """All z (N, code_size) of bits or choices, and log p(z), nats, (N,): ValueError for more than 4,096."""
        z, _ = self.latents(np.zeros((1, self.family.n_params(self.n_latents)), self.dtype)).nodes()  # N, 1, code_size
        return z[:, 0], self.prior.log_prob(z)[:, 0]

    def noise(self, rng, n_samples, n_points, scheme=independent):
        """eps for n_points data points, (S, B, ...), as `loss_and_grads` takes it; scheme: see `tv.noise`."""
        if scheme is independent:
            scheme = functools.partial(independent, empty=self.encoder.empty)
        return self.family.draw(rng, n_samples, n_points, self.n_latents, self.dtype, scheme)

    def noise_shape(self, n_points):
        """The shape of a sample's noise for n_points data points, (B, ...)."""
        return self.family.noise_shape(n_points, self.n_latents)

    def with_dtype(self, dtype):
        """A copy in another precision, "float32" or "float64"."""
        objects = {"likelihood": self.likelihood, "latents": self.family, "prior": self.prior, "dtype": dtype}
        other = VAE(**{**self.config, **objects})
        other.theta[:] = self.theta
        return other

    step = step

    def loss_and_grads(self, x, eps, estimator="reparameterization", objective=ELBO(), rng=None):
        """The minibatch loss and an estimate of its gradient.

            loss = 1/M sum_i { E_q[-log p(x_i | z)] + beta KL(q(z | x_i) || p(z)) }

        Kingma & Welling 2014, eq. 8, scale this sum by N (N/M times the sum over the minibatch) to
        estimate the bound of all N data points. Here it is the mean over the M points of the batch
        instead: the same direction, and a learning rate that depends on neither N nor M.

        Parameters
        ----------
        x : array (M, D)
            Floats in [0, 1], or bool / uint8 holding 0 and 1.
        eps : array (S, M, K)
            Noise as `noise` draws it, S samples a point: standard normal, or uniform for discrete latents.
        estimator : str or callable
            (q, target, eps, objective, rng) -> Draws, for the encoder's gradient; the decoder's is the same under all.
        objective : ELBO, ImportanceWeighted or one of your own
            See `tinyvae.objectives`.
        rng : numpy.random.Generator, optional
            For estimators that draw more than eps.

        Returns
        -------
        loss : float
            Nats a data point.
        grads : array (P,)
            Aligned with theta.

        Raises
        ------
        ValueError, TypeError
            For input that does not fit.
        NonFiniteLoss
            If the loss is not finite.
        """
        x = self.check_data(x)
        x = x.astype(self.dtype, copy=False) if x.dtype.kind == "f" else x
        check_objective(objective)
        return loss_and_grads(self, x, eps, estimators.resolve(estimator), objective, rng)
