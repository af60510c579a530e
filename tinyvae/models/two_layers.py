"""A VAE with two layers of binary latents, as the literature on gradients through bits trains them."""

import functools

import numpy as np

from tinyvae import distributions, estimators, evaluate, validate
from tinyvae.distributions import Binary
from tinyvae.distributions.uniform import open_uniform
from tinyvae.estimators.layers import PerLayer, per_layer
from tinyvae.machine.arena import remember
from tinyvae.mlp import MLP
from tinyvae.models.layered_bits import LayeredBits
from tinyvae.models.model import Model
from tinyvae.models.step import loss_and_grads
from tinyvae.models.two_layer_step import exact_step, step
from tinyvae.noise import independent
from tinyvae.objectives import ELBO, at_step, check_objective

__all__ = ["TwoLayerVAE"]

MOST_BITS = 12  # of both layers, in an enumeration


class TwoLayerVAE(Model):
    """A variational autoencoder with two layers of bits, the upper one z2 above the lower one z1.

        q(z1 | x) = encoder(x),   q(z2 | z1) = upper_encoder(z1)
        p(z2) = prior,   p(z1 | z2) = upper_decoder(z2),   p(x | z1) = likelihood(decoder(z1))

        loss = E_q[-log p(x | z1) + log q(z1 | x) - log p(z1 | z2) + log q(z2 | z1) - log p(z2)]

    With hidden=() each of the four is linear in its input, the "linear" model of the literature; with hidden=(200,) a
    deterministic layer stands between two stochastic ones, its "nonlinear" one. It trains through `tv.train` and
    `tv.fit`, with `estimator` a name or an estimator, asked once for each layer, or a pair, (lower, upper). What each
    layer's estimator is given, and which are right here, stands in `models/two_layer_step.py`.

    Parameters
    ----------
    n_features, n_latents, n_upper : int
        D pixels, K1 bits in the lower layer, K2 in the upper one.
    hidden : tuple of int
        The hidden layers of each of the two encoders; the decoders mirror them.
    activation : str
        Of the hidden layers, see `MLP`.
    likelihood : str or a likelihood
        What the decoder says of a pixel, see `tinyvae.likelihoods`.
    dtype : str
        "float32" or "float64".
    seed : int
        Of the initial weights.
    prior : Prior or str, optional
        Of the upper layer: fair bits if None; "learnt_bits" learns their log-odds.

    Attributes
    ----------
    theta : array (P,)
        All parameters: the encoder's, the decoder's, the likelihood's own, the prior's, the upper encoder's and the
        upper decoder's. What is assigned to it is copied in.
    encoder, decoder, upper_encoder, upper_decoder : MLP
        Their parameters are views into theta.
    own : dict
        {name: array}, the likelihood's own parameters, views into theta.
    prior : Prior
        Of the upper layer; one that learns holds views into theta.

    Raises
    ------
    ValueError, TypeError
        For an argument that does not fit; the message names it.

    Notes
    -----
    Source: Mnih & Gregor 2014; Tucker et al. 2017; Yin & Zhou 2019, sections 3.1 and 4.1.
    """

    format = "tinyvae.TwoLayerVAE 1"
    known = Model.known | {"prior": distributions.PRIORS}

    def __init__(
        self,
        n_features,
        n_latents,
        n_upper,
        hidden=(200,),
        activation="tanh",
        likelihood="bernoulli",
        dtype="float32",
        seed=0,
        prior=None,
    ):
        self.n_upper = validate.integer("n_upper", n_upper, least=1)
        self.prior = distributions.resolve_prior(prior, Binary, self.n_upper)
        self._make(n_features, n_latents, hidden, activation, likelihood, dtype, seed)
        rng, upper, lower = np.random.default_rng([self.seed, 1]), self.n_upper, self.n_latents
        self.upper_encoder = MLP((lower, *self.hidden, upper), activation, dtype, rng=rng)
        self.upper_decoder = MLP((upper, *reversed(self.hidden), lower), activation, dtype, rng=rng)
        self._fill(self.n_latents)

    @property
    def prior_latents(self):
        """How many latents the prior is of: the upper layer's."""
        return self.n_upper

    @property
    def n_states(self):
        """How many states both layers have together."""
        return 2 ** (self.n_latents + self.n_upper)

    @property
    def config(self):
        """The arguments, by name, that make this model as it was before training."""
        prior = {} if self.prior.name == Binary.prior.name else {"prior": self.prior.name}
        return super().config | {"n_upper": self.n_upper} | prior

    # --- theta ----------------------------------------------------------------------------------------

    def further_parameters(self):
        """The two upper networks' parameters, as they start."""
        return {"upper_encoder": self.upper_encoder.params, "upper_decoder": self.upper_decoder.params}

    def bind_further(self, theta):
        """Let the two upper networks live in `theta` (P,)."""
        for network, part in zip((self.upper_encoder, self.upper_decoder), self._upper_parts(theta)):
            network.bind(part)

    def _upper_parts(self, flat):
        """The upper encoder's part of what is laid out like theta, and the upper decoder's: the last."""
        first = len(flat) - self.upper_encoder.n_params - self.upper_decoder.n_params
        second = len(flat) - self.upper_decoder.n_params
        return flat[first:second], flat[second:]

    def __getstate__(self):
        uppers = {name: getattr(self, name).unbound() for name in ("upper_encoder", "upper_decoder")}
        return super().__getstate__() | uppers

    def gradient_views(self, grads):
        """As of other models, and after these the upper encoder's part of `grads` (P,) and the upper decoder's."""
        viewed = self._viewed
        if viewed is None or viewed[0] is not grads:
            views = *super().gradient_views(grads), *map(remember, self._upper_parts(grads))
            self._viewed = viewed = (grads, views)
        return viewed[1]

    def using(self, empty):
        """This model, the parameters shared, whose steps take their arrays from `empty` (shape, dtype)."""
        other = super().using(empty)
        uppers = {name: getattr(self, name).using(empty) for name in ("upper_encoder", "upper_decoder")}
        vars(other).update(uppers)
        return other

    # --- using the model ------------------------------------------------------------------------------

    def encode(self, x):
        """q(z1, z2 | x). x (n, D) -> a `LayeredBits`, its `lower` q(z1 | x) and its `upper(z1)` q(z2 | z1)."""
        params, _ = self.encoder.propagate(self.check_data(x).astype(self.dtype, copy=False))
        return LayeredBits(params, self.upper_encoder, self.upper_decoder, self.prior)

    def sample(self, n, rng):
        """The means of p(x | z1) for n draws of z2 from the prior, and z1 from p(z1 | z2): (n, D)."""
        validate.generator("rng", rng)
        z2 = self.prior.sample(rng, validate.integer("n", n, least=0), self.n_upper, self.dtype)
        logits, _ = self.upper_decoder.propagate(z2)
        return self.decode(_bits(logits, rng)).mean

    def reconstruct(self, x):
        """The mean of p(x | z1) at the mean of q(z1 | x). x (n, D) -> (n, D)."""
        return self.decode(self.encode(x).lower.mean).mean

    def log_likelihood(self, x, n_samples=5000, rng=None):
        """An estimate of log p(x), nats, (n,), from importance samples of both layers: `tv.evaluate.log_likelihood`."""
        return evaluate.log_likelihood(self, x, n_samples, rng).value

    def states(self):
        """All z1 (N, K1), and log p(z1), nats, (N,), the sum over all z2: ValueError for more than 12 bits in both."""
        self._require_few_bits()
        z1, z2 = (Binary.from_params(np.zeros((1, k), self.dtype)).nodes()[0] for k in (self.n_latents, self.n_upper))
        logits, _ = self.upper_decoder.propagate(z2[:, 0])
        given = Binary.from_params(logits).log_prob(np.repeat(z1, len(z2), axis=1))  # N, 2^K2
        return z1[:, 0], np.logaddexp.reduce(given + self.prior.log_prob(z2)[:, 0], axis=1)

    def held_out(self, x):
        """The negative ELBO of held-out data x (n, D) and its two terms, nats, a `Bound`: see `tv.evaluate.bound`."""
        return evaluate.bound(self, x)

    # --- what training asks -----------------------------------------------------------------------------

    def noise(self, rng, n_samples, n_points, scheme=independent):
        """eps for n_points data points, uniform, (S, B, K1 + K2), the lower layer's first; scheme: see `tv.noise`."""
        if scheme is independent:
            scheme = functools.partial(independent, empty=self.encoder.empty)
        return open_uniform(rng, n_samples, *self.noise_shape(n_points), self.dtype, scheme)

    def noise_shape(self, n_points):
        """The shape of a sample's noise for n_points data points, (B, K1 + K2)."""
        return n_points, self.n_latents + self.n_upper

    def resolve(self, estimator):
        """An estimator for each layer, a `PerLayer`: of a name, an estimator, or a pair of these, (lower, upper).

        A single one that learns is the lower layer's, and the upper one's is a copy. Raises ValueError or TypeError.
        """
        if isinstance(estimator, PerLayer):
            return estimator
        pair = estimator if isinstance(estimator, (tuple, list)) else (estimator,)
        if len(pair) not in (1, 2):
            raise ValueError(f"estimator must be one, or a pair, (lower, upper), got {len(pair)}")
        return per_layer(*map(estimators.resolve, pair))

    def check_objective(self, objective):
        """Raise ValueError unless an objective is an average over samples that weighs all of the KL alike."""
        weights = [] if not objective.averages else objective.kl_weights(Binary(np.zeros((1, 2), self.dtype)))
        if np.ndim(weights):
            raise ValueError(
                "a TwoLayerVAE takes an objective that is an average over samples and has one weight for the whole KL, "
                f"such as tv.ELBO(), got {objective!r}"
            )

    step = step

    def loss_and_grads(self, x, eps, estimator="leave_one_out", objective=ELBO(), rng=None):
        """The minibatch loss and an estimate of its gradient.

        Parameters
        ----------
        x : array (M, D)
            Floats in [0, 1], or bool / uint8 holding 0 and 1.
        eps : array (S, M, K1 + K2)
            Uniform noise, as `noise` draws it, S samples a point; see `step` for what becomes of it.
        estimator : str, callable or pair of these
            For the encoders' gradients, see `resolve`; the decoders' are the same under all.
        objective : ELBO
            See `check_objective`.
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
        x = self._checked(x, objective)
        return loss_and_grads(self, x, eps, self.resolve(estimator), objective, rng)

    def exact_loss_and_grads(self, x, objective=ELBO()):
        """The loss of a batch and its gradient, by enumeration of all states: what estimates are held against.

        x (M, D) -> nats, float, and (P,), aligned with theta. Raises ValueError for more than 12 bits in both layers
        together, and for input that does not fit.
        """
        x = self._checked(x, objective)
        self._require_few_bits()
        grads = np.empty_like(self.theta)
        return exact_step(self, x, objective, grads).loss, grads

    def _require_few_bits(self):
        if (n := self.n_latents + self.n_upper) > MOST_BITS:
            raise ValueError(f"enumeration is for at most {MOST_BITS} bits in both layers, got {n}: 2^{n} states")

    def _checked(self, x, objective):
        """The data, in the model's precision or bits, once they and the objective are found to fit."""
        x = self.check_data(x)
        check_objective(objective)
        self.check_objective(at_step(objective, 1))
        return x.astype(self.dtype, copy=False) if x.dtype.kind == "f" else x


def _bits(logits, rng):
    """A draw of each bit: logits (n, K) -> (n, K)."""
    q = Binary.from_params(logits)
    return q.sample(q.noise(rng))[0]
