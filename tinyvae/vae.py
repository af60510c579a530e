"""The variational autoencoder: encoder, prior and decoder, and the gradient of its loss."""

import json
import math
import os
from typing import NamedTuple

import numpy as np

from tinyvae import estimators, files, validate, workers
from tinyvae.arena import one_per_thread
from tinyvae.distributions import LIKELIHOODS, DiagonalGaussian
from tinyvae.estimators import Target
from tinyvae.estimators.contract import check_samples, checked_draws
from tinyvae.kernels.data import all_finite, same
from tinyvae.mlp import MLP, count_parameters
from tinyvae.objectives import ELBO, Integrand, check_objective
from tinyvae.sparse import first_input

ROWS = 500  # decoder rows that log_likelihood holds at once, a worker: few enough for the cache, enough for BLAS
POINTS = 100  # data points whose encoding it holds at once
FORMAT = "tinyvae.VAE 1"  # what `save` writes into the file and `load` asks for


class NonFiniteLoss(ArithmeticError):
    """A term of the loss became NaN or infinite; the message names it."""


class Step(NamedTuple):
    """One evaluation of the loss: nats, means over the batch. kl is the closed form, whatever the objective."""

    loss: float
    reconstruction: float
    kl: float


class VAE:
    """p(z) = N(0, I); p(x | z) = likelihood(decoder(z)); q(z | x) = N(mu, exp(logvar)), [mu, logvar] = encoder(x).

    n_features, n_latents: D and K; hidden: the encoder's hidden sizes, which the decoder mirrors;
    activation: see MLP; likelihood: "bernoulli"; dtype: "float32" or "float64"; seed: of the initial weights.

    theta: (P,), all parameters, the encoder's first; params: {"encoder.W0": ..., "decoder.W0": ...}, views.

    Raises ValueError or TypeError, naming the argument. Source: Kingma & Welling 2014.
    """

    def __init__(self, n_features, n_latents, hidden=(200,), activation="tanh", likelihood="bernoulli", dtype="float32", seed=0):
        validate.integer("n_features", n_features, least=1)
        validate.integer("n_latents", n_latents, least=1)
        validate.choice("likelihood", likelihood, LIKELIHOODS)
        hidden = validate.sizes("hidden", hidden)
        rng = np.random.default_rng(validate.integer("seed", seed, least=0))
        self.n_features, self.n_latents, self.hidden = n_features, n_latents, hidden
        self.activation, self.likelihood = activation, likelihood
        self.encoder = MLP((n_features, *hidden, 2 * n_latents), activation, dtype, rng=rng)
        self.decoder = MLP((n_latents, *reversed(hidden), n_features), activation, dtype, rng=rng)
        self.dtype = self.encoder.dtype
        self.theta = np.concatenate([self.encoder.theta, self.decoder.theta])
        self._viewed = None
        self.encoder.bind(self.theta[: self.n_encoder])
        self.decoder.bind(self.theta[self.n_encoder :])

    @property
    def config(self):
        """The arguments, by name, that make a VAE of this shape."""
        names = ("n_features", "n_latents", "hidden", "activation", "likelihood")
        return {**{name: getattr(self, name) for name in names}, "dtype": self.dtype.name}

    @property
    def n_encoder(self):
        """How many of theta's elements, the first, belong to the encoder."""
        return count_parameters(self.encoder.sizes)

    @property
    def params(self):
        """{"encoder.W0": (n_in, n_out), ...}: named views into theta."""
        return self.views(self.theta)

    def views(self, flat):
        """Named views into a flat vector aligned with theta, such as a gradient."""
        parts = (("encoder", self.encoder, flat[: self.n_encoder]), ("decoder", self.decoder, flat[self.n_encoder :]))
        return {f"{part}.{name}": view for part, mlp, piece in parts for name, view in mlp.views(piece).items()}

    # --- using the model --------------------------------------------------------------------------

    def encode(self, x):
        """q(z | x). x (n, D) -> DiagonalGaussian of (n, K)."""
        params, _ = self.encoder._forward(self._data(x), np.empty)
        return DiagonalGaussian.from_params(params)

    def decode(self, z):
        """p(x | z). z (n, K) -> the likelihood, with .mean (n, D) and .log_prob(x) (n,)."""
        logits, _ = self.decoder._forward(validate.array("z", z, ("n", self.n_latents), self.dtype), np.empty)
        return LIKELIHOODS[self.likelihood](logits)

    def sample(self, n, rng):
        """The means of p(x | z) for n draws z ~ N(0, I), (n, D)."""
        validate.generator("rng", rng)
        shape = (validate.integer("n", n, least=0), self.n_latents)
        return self.decode(rng.standard_normal(shape, dtype=self.dtype)).mean

    def reconstruct(self, x):
        """The mean of p(x | z) at the posterior mean z = mu(x). x (n, D) -> (n, D)."""
        return self.decode(np.ascontiguousarray(self.encode(x).mu)).mean

    def log_likelihood(self, x, n_samples=5000, rng=None):
        """An estimate of log p(x), nats, (n,), from importance samples z_s ~ q(z | x).

            log 1/S sum_s p(x | z_s) p(z_s) / q(z_s | x)

        In expectation a lower bound, the tighter the larger S = `n_samples` (Burda et al. 2016, eq. 8). x (n, D);
        rng: a numpy Generator. At most `ROWS` decoder rows a worker are held at once; each chunk of
        them has a random stream of its own, so that the result does not depend on the number of workers.
        Raises ValueError or TypeError for input that does not fit.
        """
        x = LIKELIHOODS[self.likelihood].check("x", x, self.n_features)
        n_samples = validate.integer("n_samples", n_samples, least=1)
        validate.generator("rng", rng)
        return np.concatenate([self._log_likelihood(x[i : i + POINTS], n_samples, rng) for i in range(0, len(x), POINTS)])

    def _log_likelihood(self, x, n_samples, rng):
        """The same for a few points, chunk by chunk: log sum exp is carried along as a largest term and a sum."""
        params = self.encode(x).params  # n, 2K
        pixels = x.astype(self.dtype, copy=False)  # n, D
        n_points, arena = max(1, ROWS // n_samples), one_per_thread()

        def chunks():
            for i in range(0, len(x), n_points):
                for s in range(0, n_samples, ROWS):
                    yield slice(i, i + n_points), min(ROWS, n_samples - s), rng.spawn(1)[0]

        def log_weights(chunk):
            (points, n, stream), empty = chunk, arena()
            q = DiagonalGaussian.from_params(params[points])
            z = q.sample(q.noise(stream, n))  # s, p, K
            logits, _ = self.decoder._forward(z.reshape(-1, self.n_latents), empty)  # s * p, D
            losses = empty(z.shape[:2], self.dtype)  # s, p
            LIKELIHOODS[self.likelihood].loss(logits, pixels[points], losses.reshape(-1))
            return points, (-losses - q.log_ratio(z)).astype("float64")  # s, p

        largest, total = np.full(len(x), -np.inf), np.zeros(len(x))
        for points, log_w in workers.run(log_weights, chunks()):
            high = np.maximum(largest[points], log_w.max(axis=0))
            total[points] = total[points] * np.exp(largest[points] - high) + np.exp(log_w - high).sum(axis=0)
            largest[points] = high
        return largest + np.log(total / n_samples)

    # --- the loss and its gradient ----------------------------------------------------------------

    def loss_and_grads(self, x, eps, estimator="reparameterization", objective=ELBO(), rng=None):
        """The minibatch loss and an estimate of its gradient.

            loss = 1/M sum_i { E_q[-log p(x_i | z)] + beta KL(q(z | x_i) || p(z)) }

        Kingma & Welling 2014, eq. 8, scale this sum by N (N/M times the sum over the minibatch) to
        estimate the bound of all N data points. Here it is the mean over the M points of the batch
        instead: the same direction, and a learning rate that depends on neither N nor M.

        x: (M, D), float in [0, 1] or bool / uint8 holding 0 and 1; eps: (S, M, K) standard normal noise,
        S samples a point; estimator: a name or a callable (q, target, eps, objective, rng) -> Draws, for the
        encoder's gradient; the decoder's is the same under all of them. objective: an ELBO. rng: for
        estimators that draw more than eps.
        Returns loss (float, nats) and grads (P,), aligned with theta.
        Raises ValueError or TypeError for input that does not fit, NonFiniteLoss if the loss is not finite.
        """
        x = LIKELIHOODS[self.likelihood].check("x", x, self.n_features)
        x = x.astype(self.dtype, copy=False) if x.dtype.kind == "f" else x
        eps = validate.array("eps", eps, ("S", len(x), self.n_latents), self.dtype)
        check_samples("loss_and_grads", eps, least=1)
        check_objective(objective)
        if rng is not None:
            validate.generator("rng", rng)
        grads = np.empty_like(self.theta)
        step = self._step(x, eps, estimators.resolve(estimator), objective, rng, grads, np.empty)
        return step.loss, grads

    def _step(self, x, eps, estimator, objective, rng, grads, empty):
        """Write the gradient into `grads` (P,) and return a Step. x (B, D), uint8 or of the model's dtype, and eps (S, B, K) are checked already."""
        encoder_grads, decoder_grads = self._gradient_views(grads)
        params, cache = self.encoder._forward(first_input(x, self.encoder.sizes[1], self.dtype, empty), empty)  # B, 2K
        q = DiagonalGaussian.from_params(params)
        kl = float(q.kl().sum()) / len(x)
        if not math.isfinite(kl):
            raise NonFiniteLoss(f"the KL term became {kl}")

        z = q.sample(eps)  # S, B, K
        target = Reconstruction(self.decoder, LIKELIHOODS[self.likelihood], x, empty)
        f = target(z)  # S, B
        reconstruction = float(f.sum()) / f.size
        if not math.isfinite(reconstruction):
            raise NonFiniteLoss(f"the reconstruction term became {reconstruction}")
        weights = objective.weights(Integrand(q, target, objective).from_target(f, z))  # S, B
        weights /= len(x)
        decoder_tasks = target.weight_gradients(z, weights, decoder_grads)

        with workers.meanwhile(decoder_tasks, f.size * self.decoder.theta.size):  # they need nothing of what follows
            draws = checked_draws(estimator(q, target, eps, objective, rng), eps)
            loss = float(objective.value(draws.f).sum()) / len(x) + objective.analytic_kl * kl
            self._encoder_gradient(q, cache, draws, objective, encoder_grads, empty)
        return Step(loss, reconstruction, kl)

    def _encoder_gradient(self, q, cache, draws, objective, grads, empty):
        """Write the gradient of the encoder's weights into the views `grads`, from an estimator's draws at the encoder's output."""
        dparams = q.batch_gradient(draws.dparams, objective.analytic_kl)  # B, 2K
        if not all_finite(dparams.ravel()):
            raise NonFiniteLoss("the gradient of the encoder's output became NaN or infinite")
        deltas = self.encoder._deltas(cache, dparams, empty)
        workers.share(self.encoder._weight_gradients(cache, deltas, grads), len(dparams) * self.encoder.theta.size)

    def _gradient_views(self, grads):
        """Named views of the encoder's and the decoder's part of `grads`, remembered while the same array comes."""
        if self._viewed is None or self._viewed[0] is not grads:
            parts = self.encoder.views(grads[: self.n_encoder]), self.decoder.views(grads[self.n_encoder :])
            self._viewed = grads, parts
        return self._viewed[1]

    def _data(self, x):
        """x checked against the likelihood's support, in the model's dtype."""
        return LIKELIHOODS[self.likelihood].check("x", x, self.n_features).astype(self.dtype, copy=False)

    # --- files ------------------------------------------------------------------------------------

    def save(self, path):
        """Write the model to `path` (npz, no pickle), so that a kill at any instant leaves the old file or the new one."""
        files.write_npz(path, self.arrays())

    def arrays(self):
        """What `save` writes, {name: array}: the configuration as JSON, and theta."""
        return {"config": json.dumps({"format": FORMAT, **self.config}), "theta": self.theta}

    @classmethod
    def load(cls, path):
        """The model that `save` wrote to `path`.

        Raises FileNotFoundError if there is no such file, ValueError if it is damaged or no tinyvae model.
        """
        path = os.fspath(path)  # an int would be taken for an open file
        try:
            file = files.read_npz(path)
            if not {"config", "theta"} <= set(file):
                raise ValueError(f"expected an npz file with 'config' and 'theta', it holds {', '.join(map(repr, file)) or 'nothing'}")
            config, theta = json.loads(str(file["config"])), file["theta"]
            if config.pop("format") != FORMAT:
                raise ValueError(f"it was not written by this version ({FORMAT})")
            vae = cls(**config)
            theta = validate.array("theta", theta, vae.theta.shape, vae.dtype)
        except FileNotFoundError:
            raise FileNotFoundError(f"no such file: {path}; train one with `tinyvae train`") from None
        except Exception as error:  # each kind of damage fails in its own way: zipfile, zlib, EOF, key, value, not implemented
            raise ValueError(f"{path} is damaged or is not a model that tinyvae saved: {error}") from error
        vae.theta[:] = theta
        return vae


class Reconstruction(Target):
    """f(z) = -log p(x | z), nats, as a target. x (B, D); z (S, B, K) -> (S, B).

    The last z asked about is remembered with its decoder pass, so that value, dz and the weights'
    gradient at one z cost one forward and one backward pass between them.
    """

    def __init__(self, decoder, likelihood, x, empty=np.empty):
        super().__init__(self._losses, self._dz)
        self._decoder, self._likelihood, self._x, self._empty = decoder, likelihood, x, empty
        self._z = self._deltas = None

    def _losses(self, z):
        if self._z is None or z.shape != self._z.shape or not same(z.ravel(), self._z.ravel()):
            z = z.copy()  # an estimator may write into its own
            flat = z.reshape(-1, z.shape[-1])  # S * B, K
            logits, self._cache = self._decoder._forward(flat, self._empty)  # S * B, D
            losses = self._empty(z.shape[:2], z.dtype)  # S, B
            self._likelihood.loss_and_slope(logits, self._x, losses.reshape(-1))
            self._z, self._f, self._slope, self._deltas = z, losses, logits, None
        return self._f.copy()

    def _backward(self, z):
        self._losses(z)
        if self._deltas is None:
            self._deltas = self._decoder._deltas(self._cache, self._slope, self._empty)
        return self._deltas

    def _dz(self, z):
        return self._decoder._input_gradient(self._backward(z), self._empty).reshape(z.shape)

    def weight_gradients(self, z, weights, grads):
        """Functions that write d sum_sb weights f(z) / d(decoder's parameters) into the views `grads`. weights (S, B)."""
        deltas = self._backward(z)
        return self._decoder._weight_gradients(self._cache, deltas, grads, weights.reshape(-1), self._empty)
