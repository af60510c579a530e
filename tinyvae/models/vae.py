"""The variational autoencoder: encoder, prior and decoder, and what a user asks of them."""

import copy
import functools
import json
import os

import numpy as np

from tinyvae import distributions, estimators, likelihoods, validate
from tinyvae.estimators.contract import check_samples
from tinyvae.evaluate import log_likelihood
from tinyvae.machine import files
from tinyvae.machine.arena import empty, remember
from tinyvae.mlp import MLP
from tinyvae.models.reconstruction import Reconstruction, finite
from tinyvae.models.step import step
from tinyvae.noise import independent
from tinyvae.objectives import ELBO, check_objective

__all__ = ["VAE"]

FORMAT = "tinyvae.VAE 1"  # what `save` writes into the file and `load` asks for
KNOWN = {"likelihood": likelihoods.LIKELIHOODS, "latents": distributions.LATENTS, "prior": distributions.PRIORS}


class VAE:
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
        What q is, see `tinyvae.distributions`.
    prior : Prior or str, optional
        Of the latents; None for the one that belongs to them, N(0, I) for a Gaussian.

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
    A copy, and what is unpickled, has a theta and views of its own. Views that a subclass keeps in other attributes are
    not made anew: let it take them from `params` when it needs them.

    Source: Kingma & Welling 2014.
    """

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
        n_features = validate.integer("n_features", n_features, least=1)
        n_latents = validate.integer("n_latents", n_latents, least=1)
        self.likelihood, self.family = likelihoods.resolve(likelihood), distributions.resolve(latents)
        self.prior = distributions.resolve_prior(prior, self.family)
        hidden, self.seed = validate.sizes("hidden", hidden), validate.integer("seed", seed, least=0)
        rng = np.random.default_rng(self.seed)
        self.n_features, self.n_latents, self.hidden, self.activation = n_features, n_latents, hidden, activation
        self.encoder = MLP((n_features, *hidden, self.family.n_params(n_latents)), activation, dtype, rng=rng)
        self.decoder = MLP(
            (n_latents, *reversed(hidden), self.likelihood.outputs * n_features), activation, dtype, rng=rng
        )
        self.dtype = self.encoder.dtype
        own = {name: np.asarray(value, self.dtype) for name, value in self.likelihood.parameters(n_features).items()}
        self._own_shapes = {name: value.shape for name, value in own.items()}
        parts = [self.encoder.theta, self.decoder.theta, *(value.ravel() for value in own.values())]
        self._bind(np.concatenate(parts, out=empty((sum(map(len, parts)),), self.dtype)))

    @property
    def config(self):
        """The arguments, by name, that make this VAE as it was before training."""
        names = ("n_features", "n_latents", "hidden", "activation")
        words = {
            **{name: getattr(self, name) for name in names},
            "likelihood": likelihoods.config_of(self.likelihood),
            "dtype": self.dtype.name,
            "seed": self.seed,
        }
        other = {"latents": self.family.name, "prior": self.prior.name}  # written where they are not the default
        return words | {name: word for name, word in other.items() if word not in ("gaussian", self.family.prior.name)}

    # --- theta, and what is laid out like it ----------------------------------------------------------

    @property
    def theta(self):
        """All parameters, (P,); what is assigned is copied in. Raises ValueError or TypeError if it does not fit."""
        return self._theta

    @theta.setter
    def theta(self, value):
        self._theta[:] = validate.array("theta", value, self._theta.shape, self.dtype)

    def _bind(self, theta):
        """Let all parameters live in `theta` (P,), as it is: the networks' and the likelihood's own are views."""
        self._theta, self._viewed = theta, None
        self.encoder.bind(theta[: self.n_encoder])
        self.decoder.bind(theta[self.n_encoder : self.n_encoder + self.n_decoder])
        self.own = self._split(theta)[2]

    def __getstate__(self):
        # For copy and pickle: a copied view is a view no more, so that those into theta, the networks', are made anew.
        state = {name: value for name, value in vars(self).items() if name not in ("own", "_viewed")}
        return state | {"encoder": self.encoder.unbound(), "decoder": self.decoder.unbound()}

    def __setstate__(self, state):
        vars(self).update(state)
        self._bind(self._theta)

    @property
    def n_encoder(self):
        """How many of theta's elements, the first, belong to the encoder."""
        return self.encoder.n_params

    @property
    def n_decoder(self):
        """How many of theta's elements, those that follow, belong to the decoder; the likelihood's own come last."""
        return self.decoder.n_params

    @property
    def params(self):
        """{"encoder.W0": (n_in, n_out), ...}: named views into theta."""
        return self.views(self.theta)

    def views(self, flat):
        """Named views into a flat vector aligned with theta, such as a gradient."""
        named = zip(("encoder", "decoder", "likelihood"), self._split(flat))
        return {f"{part}.{name}": view for part, views in named for name, view in views.items()}

    def gradient_views(self, grads):
        """The encoder's part of `grads` (P,), the decoder's, and {name: view} of the likelihood's own.

        They are remembered while the same array comes.
        """
        viewed = self._viewed
        if viewed is None or viewed[0] is not grads:
            first, second = self.n_encoder, self.n_encoder + self.n_decoder
            self._viewed = viewed = (
                grads,
                (remember(grads[:first]), remember(grads[first:second]), self._split(grads)[2]),
            )
        return viewed[1]

    def _split(self, flat):
        """Three dicts of views into a flat vector: the encoder's, the decoder's, the likelihood's."""
        first, second = self.n_encoder, self.n_encoder + self.n_decoder
        own, start = {}, second
        for name, shape in self._own_shapes.items():
            stop = start + int(np.prod(shape))
            own[name], start = flat[start:stop].reshape(shape), stop
        return self.encoder.views(flat[:first]), self.decoder.views(flat[first:second]), own

    # --- using the model --------------------------------------------------------------------------

    def encode(self, x):
        """q(z | x). x (n, D) -> a distribution of (n, K), a DiagonalGaussian unless the model says otherwise."""
        params, _ = self.encoder.propagate(self.check_data(x).astype(self.dtype, copy=False))
        return self.latents(params)

    def decode(self, z):
        """p(x | z). z (n, K) -> the likelihood, with .mean (n, D), .log_prob(x) (n,) and .sample(rng) (n, D)."""
        outputs, _ = self.decoder.propagate(validate.array("z", z, ("n", self.n_latents), self.dtype))
        return self.likelihood(outputs, **self.own)

    def sample(self, n, rng):
        """The means of p(x | z) for n draws z from the prior, (n, D)."""
        validate.generator("rng", rng)
        return self.decode(self.prior.sample(rng, validate.integer("n", n, least=0), self.n_latents, self.dtype)).mean

    def reconstruct(self, x):
        """The mean of p(x | z) at the posterior mean z = mu(x). x (n, D) -> (n, D)."""
        return self.decode(np.ascontiguousarray(self.encode(x).mean)).mean

    def log_likelihood(self, x, n_samples=5000, rng=None):
        """An estimate of log p(x), nats, (n,), from importance samples: see `tv.evaluate.log_likelihood`."""
        return log_likelihood(self, x, n_samples, rng)

    # --- what training and measuring ask ------------------------------------------------------------

    def check_data(self, x, name="x"):
        """x (n, D), checked against the likelihood's support: floats as they are, see `likelihoods.checked`.

        Raises ValueError or TypeError, calling the data `name`.
        """
        return likelihoods.checked(self.likelihood, name, x, self.n_features, self.dtype)

    def latents(self, params):
        """q of the encoder's output params (B, P), unchecked, with the model's prior."""
        return self.family.from_params(params, self.prior)

    def target(self, x):
        """f(z) = -log p(x | z), nats, for z (S, B, K). x (B, D), as `check_data` returns it."""
        validate.check_shape("x", x, ("B", self.n_features))
        return Reconstruction(self.decoder, self.likelihood, x, self.own)

    def noise(self, rng, n_samples, n_points, scheme=independent):
        """eps for n_points data points, (S, B, ...), as `loss_and_grads` takes it; scheme: see `tv.noise`."""
        if scheme is independent:
            scheme = functools.partial(independent, empty=self.encoder.empty)
        return self.family.draw(rng, n_samples, n_points, self.n_latents, self.dtype, scheme)

    def noise_shape(self, n_points):
        """The shape of a sample's noise for n_points data points, (B, ...)."""
        return self.family.noise_shape(n_points, self.n_latents)

    def using(self, empty):
        """This model, the parameters shared, whose steps take their arrays from `empty` (shape, dtype)."""
        other = copy.copy(self)
        vars(other).update(encoder=self.encoder.using(empty), decoder=self.decoder.using(empty), _viewed=None)
        return other

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
            Standard normal noise, S samples a point.
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
        eps = validate.array("eps", eps, ("S", *self.noise_shape(len(x))), self.dtype)
        check_samples("loss_and_grads", eps, least=1)
        check_objective(objective)
        if rng is not None:
            validate.generator("rng", rng)
        grads = np.empty_like(self.theta)
        loss = step(self, x, eps, estimators.resolve(estimator), objective, rng, grads).loss
        finite("the gradient", grads)
        return finite("the loss", loss), grads

    # --- files ------------------------------------------------------------------------------------

    def save(self, path):
        """Write the model to `path` (npz, no pickle); a kill at any instant leaves the old file or the new one.

        Raises ValueError, and writes nothing, if theta is not finite; OSError if the file cannot be written.
        """
        files.write_npz(path, self.arrays())

    def arrays(self):
        """What `save` writes, {name: array}: the configuration as JSON, and theta."""
        validate.check_finite("theta", self.theta)  # else `load` would refuse it
        return {"config": json.dumps({"format": FORMAT, **self.config}), "theta": self.theta}

    @classmethod
    def load(cls, path, **objects):
        """The model that `save` wrote to `path`.

        objects: likelihood, latents or prior, where the model has one that tinyvae does not know by name.
        Raises FileNotFoundError if there is no such file, ValueError if it is damaged or no tinyvae model.
        """
        path = os.fspath(path)  # an int would be taken for an open file
        try:
            file = files.read_npz(path)
            if not {"config", "theta"} <= set(file):
                raise ValueError(
                    "expected an npz file with 'config' and 'theta', "
                    f"it holds {', '.join(map(repr, file)) or 'nothing'}"
                )
            config, theta = json.loads(str(file["config"])), file["theta"]
            if config.pop("format") != FORMAT:
                raise ValueError(f"it was not written by this version ({FORMAT})")
            called = {name: word["name"] if isinstance(word, dict) else word for name, word in config.items()}
            strange = [name for name in KNOWN if called.get(name, "") and name not in objects]
            strange = [name for name in strange if isinstance(called[name], str) and called[name] not in KNOWN[name]]
            vae = None if strange else cls(**{**config, **objects})
            theta = theta if strange else validate.array("theta", theta, vae.theta.shape, vae.dtype)
        except FileNotFoundError:
            raise FileNotFoundError(f"no such file: {path}; train one with `tinyvae train`") from None
        except Exception as error:  # each kind of damage fails in its own way: zipfile, zlib, EOF, key, value
            raise ValueError(f"{path} is damaged or is not a model that tinyvae saved: {error}") from error
        if strange:
            own = " and ".join(f"{name} {called[name]!r}" for name in strange)
            options = ", ".join(f"{name}=..." for name in strange)
            raise ValueError(f"{path} has {own}, not known by name: give it, tv.VAE.load(path, {options})")
        vae.theta[:] = theta
        return vae
