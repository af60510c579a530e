"""What a training run is asked to do, checked before its first step, and how it takes one gradient."""

from dataclasses import dataclass

import numpy as np

from tinyvae import estimators, validate
from tinyvae import noise as schemes
from tinyvae.likelihoods import takes_bits
from tinyvae.machine.bits import as_bits, batch_dtype
from tinyvae.models import NonFiniteLoss
from tinyvae.objectives import ELBO, at_step, check_objective
from tinyvae.optim import Adam, clip

__all__ = ["Plan"]


@dataclass
class Plan:
    """What `train` is asked to do; it is checked as it is made. See `train` for the fields, whose defaults stand here.

    Attributes
    ----------
    vae : VAE or another model
        The model, trained in place.
    x : array (n, D)
        What is trained on: floats that hold only 0 and 1 become bits, which a first layer need not multiply, if the
        likelihood takes them.
    estimator : callable
        A name becomes the estimator that it names.
    objective : ELBO, ImportanceWeighted or another objective
        What is minimised.
    optimizer : Adam, SGD or another optimiser
        None becomes Adam(1e-3).
    n_samples : int
        Samples a data point, L.
    epochs : int
        Passes over x.
    batch_size : int
        Data points a step, M.
    seed : int
        Of the minibatches and the noise.
    noise : callable
        A name becomes the scheme that it names.
    clip_norm : float or None
        What a gradient's norm may be at most; None leaves it.
    patience : int or None
        `fit`'s.
    best : array (P,) or None
        The parameters of the lowest validation so far, kept where there is patience.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit.
    """

    vae: object
    x: np.ndarray
    estimator: object = "reparameterization"
    objective: object = ELBO()
    optimizer: object = None
    n_samples: int = 1
    epochs: int = 10
    batch_size: int = 100
    seed: int = 0
    noise: object = "independent"
    clip_norm: object = None
    patience: object = None
    best = None

    def __post_init__(self):
        vae, self.given = self.vae, np.asanyarray(self.x)
        self.take()
        if self.draws:
            resolve = getattr(vae, "resolve", estimators.resolve)  # of two layers, one for each
            self.estimator = resolve(self.estimator)
            check_objective(self.objective)
            if hasattr(vae, "check_objective"):
                vae.check_objective(at_step(self.objective, 1))
        else:
            self._leave_out()
        self.optimizer = Adam(1e-3) if self.optimizer is None else self.optimizer
        if isinstance(self.optimizer, type) or not hasattr(self.optimizer, "step"):
            raise TypeError(f"optimizer must be an optimiser such as tv.Adam(1e-3), got {self.optimizer!r}")
        for name, least in (("n_samples", 1), ("batch_size", 1), ("seed", 0), ("epochs", 0), ("patience", 1)):
            if name != "patience" or self.patience is not None:
                setattr(self, name, validate.integer(name, getattr(self, name), least=least))
        if self.clip_norm is not None:
            self.clip_norm = validate.number("clip_norm", self.clip_norm, least=0, open_least=True)
        if self.draws:
            self.noise = schemes.resolve(self.noise)
            schemes.require_compatible(self.noise, self.estimator, self.objective)
            eps = vae.noise(np.random.default_rng(0), self.n_samples, 1, self.noise)
            validate.array("noise's eps", eps, (self.n_samples, *vae.noise_shape(1)), vae.dtype)

    @property
    def draws(self):
        """Whether the model draws latents, so that there is something to estimate."""
        return hasattr(self.vae, "noise")

    def _leave_out(self):
        """Raise ValueError if something is asked for that a model without latents to draw has no use for."""
        for name in ("estimator", "objective", "n_samples", "noise"):
            if getattr(self, name) != getattr(Plan, name):
                raise ValueError(f"tv.{type(self.vae).__name__} draws no latents: leave out {name}")
        self.estimator = self.objective = self.noise = None

    def gradient(self, model, x, step, noise_rng, estimator_rng, grads):
        """One gradient of one batch, clipped: x (M, D), written into grads (P,) -> a Step. model: the plan's own."""
        if self.draws:
            eps = model.noise(noise_rng, self.n_samples, len(x), self.noise)
            with schemes.in_use(self.noise):
                objective = at_step(self.objective, step)
                losses = model.step(x, eps, self.estimator, objective, estimator_rng, grads)
        else:
            losses = model.step(x, grads)
        if self.clip_norm is not None:
            try:
                clip(grads, self.clip_norm)
            except ArithmeticError as error:
                raise NonFiniteLoss(str(error)) from None
        return losses

    def take(self):
        """Read the data as they are now. Raises ValueError or TypeError if they do not fit (any more)."""
        x = self.vae.check_data(self.given)
        bits = takes_bits(self.vae.likelihood)
        self.x = as_bits(x) if bits else x
        self.pixels = batch_dtype(self.x, self.vae.dtype, bits)

    @property
    def n_batches(self):
        """Minibatches an epoch; the last may be smaller."""
        return -(-len(self.x) // self.batch_size)
