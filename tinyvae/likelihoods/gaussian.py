"""The Gaussian likelihood, with a variance that is fixed, learnt, or put out by the decoder."""

import dataclasses
import math
from typing import ClassVar

import numpy as np

from tinyvae import validate
from tinyvae.kernels import dense
from tinyvae.kernels import gaussian_pixels as kernels
from tinyvae.likelihoods import support

__all__ = ["Gaussian", "GaussianPixels", "FLOOR"]

VARIANCES, MEANS = ("shared", "isotropic", "per_pixel"), ("linear", "sigmoid")
FLOOR = 1 / (12 * 255**2)  # the variance of what was rounded away from a pixel of 8 bits in [0, 1]
LEAST = 1e-30  # of a floor: float32 holds it, and 1 over it


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """Pixels that are a mean plus Gaussian noise.

        p(x) = prod_d N(x_d; mean_d, v_d)

    **A learnt variance can run away**: a pixel that is the same in all images, or that the decoder reproduces, has the
    higher a density the smaller v is, without end, though a pixel of 8 bits is known to half a level only. So a learnt
    variance has a floor, v = floor + exp(logvar), by default the variance of that rounding, (1/255)^2 / 12. No noise is
    added to the data. Densities that lie on the floor say what the floor is, and are compared at one floor only.

    Called on the decoder's outputs (n, D), or (n, 2 D) with variances "per_pixel" (all means, then all logvars), and
    with `logvar` where that is learnt, it gives a `GaussianPixels`.

    Parameters
    ----------
    variance : str or float
        "shared": one learnt logvar a pixel, the same for all images; "isotropic": one for all pixels, as in
        probabilistic PCA; "per_pixel": the decoder puts one out for each pixel of each image; a number: this variance.
        A learnt one starts at 1/12, that of a pixel anywhere in [0, 1]; the decoder's at e^0.
    mean : str
        "linear": the decoder's output, any real number; "sigmoid": its sigmoid, in (0, 1).
    floor : float
        What a learnt variance is never below, in squared units of the data, at least 1e-30. A fixed variance has none.

    Attributes
    ----------
    variance, mean, floor
        As given.
    name : str
        "gaussian".
    is_density : bool
        True.
    check : function
        (name, x, n_features) -> x itself, any finite real numbers, or an error.

    Raises
    ------
    ValueError or TypeError
        For an unknown word, a variance that is not above 0, or a floor below 1e-30.
    """

    variance: str | float = "shared"
    mean: str = "linear"
    floor: float = FLOOR

    name: ClassVar = "gaussian"
    is_density: ClassVar = True
    check: ClassVar = staticmethod(support.real_numbers)

    def __post_init__(self):
        if isinstance(self.variance, str):
            if self.variance not in VARIANCES:
                words = ", ".join(map(repr, VARIANCES))
                raise ValueError(f"variance must be one of {words}, or a number above 0, got {self.variance!r}")
        else:
            value = validate.number("variance", self.variance, least=0, open_least=True)
            object.__setattr__(self, "variance", value)
        validate.choice("mean", self.mean, MEANS)
        object.__setattr__(self, "floor", validate.number("floor", self.floor, least=LEAST))

    @property
    def outputs(self):
        """How many numbers a pixel takes from the decoder."""
        return 2 if self.variance == "per_pixel" else 1

    def parameters(self, n_features):
        """{"logvar": array}, of n_features = D numbers, or of one; none where it learns no variance of its own."""
        shapes = {"shared": n_features, "isotropic": 1}
        return {"logvar": np.full(shapes[self.variance], -math.log(12))} if self.variance in shapes else {}

    def start(self, x):
        """The outputs whose means are the pixels' over x (n, D), logvars 0: where a decoder may start.

        Under a sigmoid the means are clipped to [.001, .999].
        """
        mean = x.mean(axis=0, dtype="float64")
        if self.mean == "sigmoid":
            mean = np.clip(mean, 0.001, 0.999)
            mean = np.log(mean / (1 - mean))
        return np.concatenate([mean, np.zeros((self.outputs - 1) * len(mean))])

    def loss(self, outputs, x, losses, logvar=None):
        """Write -log p(x | outputs), nats, into losses; see `tinyvae.likelihoods`."""
        numbers = self._numbers(x.shape[1], outputs.dtype, logvar)
        loop = kernels.per_pixel_loss if self.variance == "per_pixel" else kernels.gaussian_loss
        loop(self._with_means(outputs, x.shape[1]), x, losses, numbers)

    def loss_and_slope(self, outputs, x, losses, logvar=None):
        """The same, and the outputs become dloss/doutputs."""
        loop, numbers = self.loop_and_numbers(x.shape[1], outputs.dtype, logvar)
        loop(outputs, x, losses, numbers)

    def loop_and_numbers(self, n_features, dtype, logvar=None):
        """The compiled loop of `loss_and_slope`, and what it takes after losses: see `tinyvae.likelihoods`."""
        linear = self.mean == "linear"
        if self.variance == "per_pixel":
            loop = kernels.per_pixel_loss_and_slope if linear else kernels.per_pixel_sigmoid_loss_and_slope
        else:
            loop = kernels.gaussian_loss_and_slope if linear else kernels.gaussian_sigmoid_loss_and_slope
        return loop, self._numbers(n_features, dtype, logvar)

    def own_gradients(self, outputs, x, weights, logvar):
        """{"logvar": d sum_r weights_r loss_r / dlogvar}; outputs and x (S * B, D), weights (S * B,)."""
        n_features = x.shape[1]
        slope, numbers = np.empty(n_features, outputs.dtype), self._numbers(n_features, outputs.dtype, logvar)
        means = self._with_means(outputs, n_features)
        kernels.gaussian_variance_slope(means, np.ascontiguousarray(x, means.dtype), weights, numbers, slope)
        slope = slope * kernels.floored_numpy(logvar, self._log_floor(logvar.dtype))[2]
        return {"logvar": slope if self.variance == "shared" else slope.sum(keepdims=True)}

    def __call__(self, outputs, logvar=None):
        """What it says of pixels, a `GaussianPixels`, for the decoder's outputs."""
        outputs = validate.array("outputs", outputs, ("n", "D"))
        n_features = outputs.shape[1] // self.outputs
        mean = self._with_means(outputs, n_features)
        if isinstance(self.variance, float):
            variance = outputs.dtype.type(self.variance)
        else:
            own = {name: validate.array(name, logvar, a.shape) for name, a in self.parameters(n_features).items()}
            logvar = own["logvar"].astype(outputs.dtype) if own else outputs[:, n_features:]
            variance = np.exp(kernels.floored_numpy(logvar, self._log_floor(outputs.dtype))[0])
        mean = np.ascontiguousarray(mean[:, :n_features])
        return GaussianPixels(mean, np.broadcast_to(variance, mean.shape))

    def _log_floor(self, dtype):
        return dtype.type(math.log(self.floor))

    def _numbers(self, n_features, dtype, logvar):
        """What the loops need beside the outputs, see `kernels.gaussian_pixels`."""
        if self.variance == "per_pixel":
            return np.full(1, self._log_floor(dtype))
        numbers = np.empty(2 * n_features, dtype)
        if isinstance(self.variance, float):
            log_v, precision = math.log(self.variance), 1 / self.variance
        else:
            log_v, precision, _ = kernels.floored_numpy(logvar, self._log_floor(logvar.dtype))
        numbers[:n_features], numbers[n_features:] = precision, 0.5 * (log_v + kernels.LOG_2PI)
        return numbers

    def _with_means(self, outputs, n_features):
        """The outputs with the means in the place of their first D; a copy, but where these are the means."""
        if self.mean == "linear":
            return outputs
        means = outputs[:, :n_features].copy()
        dense.bias_sigmoid(means, np.zeros(n_features, means.dtype))
        return np.concatenate([means, outputs[:, n_features:]], axis=1) if self.outputs > 1 else means


class GaussianPixels:
    """What `Gaussian` says of some pixels.

    Parameters
    ----------
    mean, variance : array (n, D)
        Of each pixel; the noise of two pixels is independent.

    Attributes
    ----------
    mean, variance : array (n, D)
        As given.
    """

    def __init__(self, mean, variance):
        self.mean, self.variance = mean, variance

    def log_prob(self, x):
        """log p(x), nats, the density's. x (n, D) -> (n,). Raises ValueError or TypeError for what does not fit."""
        x = support.real_numbers("x", x, self.mean.shape[1]).astype(self.mean.dtype)
        validate.check_shape("x", x, self.mean.shape)
        off, two_pi = x - self.mean, self.mean.dtype.type(2 * math.pi)
        return -0.5 * (off * off / self.variance + np.log(two_pi * self.variance)).sum(axis=1)

    def sample(self, rng):
        """Pixels, (n, D), one draw each: the mean and noise, whatever lies outside [0, 1] included.

        rng: a numpy Generator. Raises TypeError for anything else.
        """
        noise = validate.generator("rng", rng).standard_normal(self.mean.shape)
        return (self.mean + np.sqrt(self.variance) * noise).astype(self.mean.dtype)
