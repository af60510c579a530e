"""What every model is: networks and what else is learnt, all parameters in one vector, which goes into a file."""

import copy
import json
import math
import os

import numpy as np

from tinyvae import likelihoods, validate
from tinyvae.machine import files
from tinyvae.machine.arena import empty, remember
from tinyvae.mlp import MLP
from tinyvae.models.reconstruction import Reconstruction

__all__ = ["Model", "kind_of"]

FORMATS = {f"tinyvae.{name} 1": name for name in ("VAE", "Autoencoder", "VQVAE", "TwoLayerVAE")}
NAMES = ("n_features", "n_latents", "hidden", "activation")  # of a configuration


class _OfAnotherKind(Exception):
    """A file that is whole and holds another kind of model, named by the argument."""


def kind_of(path):
    """Which kind of model a file holds, before it is loaded.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    str or None
        The name of its class; None where the file cannot be read, or holds none of tinyvae's.
    """
    try:
        return FORMATS.get(json.loads(str(files.read_npz(path)["config"]))["format"])
    except Exception:  # `load` says what is wrong
        return None


class Model:
    """An encoder and a decoder, whose parameters are views into `theta`; what the two models of tinyvae share.

    What the trainer asks of a model:

        theta, dtype, n_features    its parameters (P,), their precision, the pixels D
        check_data(x, name)         the data (n, D), checked
        using(empty)                the same model, with its arrays from `empty`
        step(...)                   one gradient of one batch -> a Step; see `VAE` and `Autoencoder` for what it takes
        after_step(rng)             where there is one: what a step changes in theta beside the optimiser, see `VQVAE`
        status()                    where there is one: a few words for an epoch's line
        held_out(x)                 the loss of held-out data, a Bound
        arrays(), config            what a file holds; the settings that a checkpoint compares
        noise(...), noise_shape(n)  of a model that draws latents; one without takes neither estimator nor objective

    What is told of a model beside that:

        n_states                    how many codes there are, an int; infinite where they are of real numbers
        states()                    of one that draws discrete latents: all of them, and log p of each

    Attributes
    ----------
    format : str
        What `save` writes into the file and `load` asks for.
    known : dict
        {argument: names}, of what `load` finds by name.
    prior : Prior or None
        Of a model that has one.
    image_shape : tuple of int or None
        (rows, columns) of the images that it is of, where it was told: a figure's business, kept in the file.
    """

    format, known, prior, image_shape = "", {"likelihood": likelihoods.LIKELIHOODS}, None, None
    n_states = math.inf

    def _make(self, n_features, n_latents, hidden, activation, likelihood, dtype, seed):
        """Check and keep the arguments that all models share."""
        self.n_features = validate.integer("n_features", n_features, least=1)
        self.n_latents = validate.integer("n_latents", n_latents, least=1)
        self.likelihood = likelihoods.resolve(likelihood)
        self.hidden, self.seed = validate.sizes("hidden", hidden), validate.integer("seed", seed, least=0)
        self.activation, self.dtype = activation, dtype

    @property
    def code_size(self):
        """How many numbers a code z has, which the decoder takes."""
        return self.n_latents

    @property
    def prior_latents(self):
        """How many latents the prior is of."""
        return self.n_latents

    @property
    def decoder_inputs(self):
        """How many numbers the decoder takes."""
        return self.code_size

    def further_parameters(self):
        """{part: {name: array}}: what a model learns beside networks, likelihood and prior, as it starts."""
        return {}

    def bind_further(self, theta):
        """Let what a model learns beside these live in `theta` (P,), where it is more than views: nothing here."""

    def _fill(self, n_code):
        """Make the networks, the encoder with n_code outputs, and theta."""
        rng, n_features = np.random.default_rng(self.seed), self.n_features
        outputs = self.likelihood.outputs * n_features
        self.encoder = MLP((n_features, *self.hidden, n_code), self.activation, self.dtype, rng=rng)
        self.decoder = MLP((self.decoder_inputs, *reversed(self.hidden), outputs), self.activation, self.dtype, rng=rng)
        self.dtype = self.encoder.dtype
        own = {"likelihood": self.likelihood.parameters(n_features), "prior": {}, **self.further_parameters()}
        if hasattr(self.prior, "parameters"):
            own["prior"] = self.prior.parameters(self.prior_latents)
        own = {part: {name: np.asarray(a, self.dtype) for name, a in arrays.items()} for part, arrays in own.items()}
        self._own_shapes = {part: {name: a.shape for name, a in arrays.items()} for part, arrays in own.items()}
        parts = [
            self.encoder.theta,
            self.decoder.theta,
            *(a.ravel() for arrays in own.values() for a in arrays.values()),
        ]
        self._bind(np.concatenate(parts, out=empty((sum(map(len, parts)),), self.dtype)))

    @property
    def config(self):
        """The arguments, by name, that make this model as it was before training."""
        return {
            **{name: getattr(self, name) for name in NAMES},
            "likelihood": likelihoods.config_of(self.likelihood),
            "dtype": self.dtype.name,
            "seed": self.seed,
        }

    # --- theta, and what is laid out like it ----------------------------------------------------------

    @property
    def theta(self):
        """All parameters, (P,); what is assigned is copied in. Raises ValueError or TypeError if it does not fit."""
        return self._theta

    @theta.setter
    def theta(self, value):
        self._theta[:] = validate.array("theta", value, self._theta.shape, self.dtype)

    def _bind(self, theta):
        """Let all parameters live in `theta` (P,), as it is: the networks', the likelihood's and the prior's."""
        self._theta, self._viewed = theta, None
        self.encoder.bind(theta[: self.n_encoder])
        self.decoder.bind(theta[self.n_encoder : self.n_encoder + self.n_decoder])
        parts = self._split(theta)
        self.own = parts["likelihood"]
        if parts["prior"]:
            self.prior = self.prior.bound(**parts["prior"])
        self.bind_further(theta)

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
        """How many of theta's elements, the next, are the decoder's; the likelihood's and the prior's come last."""
        return self.decoder.n_params

    @property
    def params(self):
        """{"encoder.W0": (n_in, n_out), ...}: named views into theta."""
        return self.views(self.theta)

    def views(self, flat):
        """Named views into a flat vector aligned with theta, such as a gradient."""
        return {f"{part}.{name}": view for part, views in self._split(flat).items() for name, view in views.items()}

    def gradient_views(self, grads):
        """The encoder's part of `grads` (P,), the decoder's, and {name: view} of the likelihood's and the prior's own.

        They are remembered while the same array comes.
        """
        viewed = self._viewed
        if viewed is None or viewed[0] is not grads:
            first, second = self.n_encoder, self.n_encoder + self.n_decoder
            parts = self._split(grads)
            own = parts["likelihood"], parts["prior"]
            self._viewed = viewed = (grads, (remember(grads[:first]), remember(grads[first:second]), *own))
        return viewed[1]

    def _split(self, flat):
        """Views into a flat vector: {"encoder": {name: view}, "decoder": ..., "likelihood": ..., "prior": ...}."""
        first, start = self.n_encoder, self.n_encoder + self.n_decoder
        parts = {"encoder": self.encoder.views(flat[:first]), "decoder": self.decoder.views(flat[first:start])}
        for part, shapes in self._own_shapes.items():
            parts[part] = {}
            for name, shape in shapes.items():
                stop = start + int(np.prod(shape))
                parts[part][name], start = flat[start:stop].reshape(shape), stop
        return parts

    # --- using the model ------------------------------------------------------------------------------

    def start_at(self, x):
        """Set the decoder's output bias so that it starts at the mean of the data x (n, D).

        Of a fresh decoder it is the mean at z = 0, if its activation is 0 at 0. What the bias is, the likelihood's
        `start` tells: for a Bernoulli the logit of each pixel's mean, clipped to [.001, .999] (Burda et al. 2016, their
        code). Call it before training; it is no setting that a checkpoint compares, being part of the weights that a
        model comes with.

        Raises ValueError or TypeError for data that do not fit, or a likelihood that does not tell.
        """
        if not hasattr(self.likelihood, "start"):
            raise TypeError(f"the likelihood {self.likelihood.name!r} has no `start(x)` that tells an output bias")
        bias = self.decoder.params[f"b{self.decoder.n_layers - 1}"]
        found = np.asarray(self.likelihood.start(self.check_data(x)))
        validate.check_shape("the likelihood's start", found, bias.shape)
        validate.check_finite("the likelihood's start", found)
        bias[:] = found

    def decode(self, z):
        """p(x | z). z (n, K) -> the likelihood, with .mean (n, D), .log_prob(x) (n,) and .sample(rng) (n, D)."""
        outputs, _ = self.decoder.propagate(validate.array("z", z, ("n", self.code_size), self.dtype))
        return self.likelihood(outputs, **self.own)

    def check_data(self, x, name="x"):
        """x (n, D), checked against the likelihood's support: floats as they are, see `likelihoods.checked`.

        Raises ValueError or TypeError, calling the data `name`.
        """
        return likelihoods.checked(self.likelihood, name, x, self.n_features, self.dtype)

    def target(self, x):
        """f(z) = -log p(x | z), nats, for z (S, B, K). x (B, D), as `check_data` returns it."""
        validate.check_shape("x", x, ("B", self.n_features))
        return Reconstruction(self.decoder, self.likelihood, x, self.own)

    def using(self, empty):
        """This model, the parameters shared, whose steps take their arrays from `empty` (shape, dtype)."""
        other = copy.copy(self)
        vars(other).update(encoder=self.encoder.using(empty), decoder=self.decoder.using(empty), _viewed=None)
        return other

    # --- files ------------------------------------------------------------------------------------

    def save(self, path):
        """Write the model to `path` (npz, no pickle); a kill at any instant leaves the old file or the new one.

        Raises ValueError, and writes nothing, if theta is not finite; OSError if the file cannot be written.
        """
        files.write_npz(path, self.arrays())

    def arrays(self):
        """What `save` writes, {name: array}: the configuration as JSON, theta, and the images' shape if known."""
        validate.check_finite("theta", self.theta)  # else `load` would refuse it
        shape = {} if self.image_shape is None else {"image_shape": np.array(self.image_shape)}
        return {"config": json.dumps({"format": self.format, **self.config}), "theta": self.theta, **shape}

    @classmethod
    def load(cls, path, **objects):
        """The model that `save` wrote to `path`.

        objects: likelihood, latents or prior, where the model has one that tinyvae does not know by name.
        Raises FileNotFoundError if there is no such file, ValueError if it is damaged or no such tinyvae model.
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
            if (found := config.pop("format")) != cls.format:
                if str(found) in FORMATS:
                    raise _OfAnotherKind(FORMATS[found])
                raise ValueError(f"it was not written by this version ({cls.format})")
            called = {name: word["name"] if isinstance(word, dict) else word for name, word in config.items()}
            strange = [name for name in cls.known if called.get(name, "") and name not in objects]
            strange = [n for n in strange if isinstance(called[n], str) and called[n] not in cls.known[n]]
            model = None if strange else cls(**{**config, **objects})
            if not strange:
                model.theta = theta
                model.take(file)
        except FileNotFoundError:
            raise FileNotFoundError(f"no such file: {path}; train one with `tinyvae train`") from None
        except _OfAnotherKind as error:
            raise ValueError(
                f"{path} holds a tv.{error}, where a tv.{cls.__name__} is asked for; tv.{error}.load reads it"
            ) from None
        except Exception as error:  # each kind of damage fails in its own way: zipfile, zlib, EOF, key, value
            raise ValueError(f"{path} is damaged or is not a model that tinyvae saved: {error}") from error
        if strange:
            own = " and ".join(f"{name} {called[name]!r}" for name in strange)
            options = ", ".join(f"{name}=..." for name in strange)
            raise ValueError(f"{path} has {own}, not known by name: give it, tv.{cls.__name__}.load(path, {options})")
        return model

    def take(self, file):
        """Take what a file {name: array} holds beside the parameters: the images' shape."""
        if "image_shape" in file:
            self.image_shape = tuple(map(int, file["image_shape"]))
