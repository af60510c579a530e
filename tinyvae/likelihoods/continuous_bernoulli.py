"""The continuous Bernoulli likelihood of grey pixels, computed from logits."""

import numpy as np

from tinyvae import validate
from tinyvae.kernels import continuous_bernoulli as kernels
from tinyvae.likelihoods import support

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli:
    """Pixels anywhere in [0, 1]: the Bernoulli's formula, with the constant that makes it a density.

        p(x) = prod_d C(m_d) m_d^x_d (1 - m_d)^(1 - x_d),  m = sigmoid(logits),  C(m) = 2 atanh(1 - 2 m) / (1 - 2 m)

    In the logit l that is e^(x l) l / (e^l - 1), with no division by zero left at m = 1/2, where it is uniform (see
    `tinyvae.kernels.continuous_bernoulli`). The parameter m is not the mean. A pixel that is exactly 0 in all images
    has no best logit: its log-density grows without end, though slowly, as log |l|.

    The class is the likelihood, an instance is what it says of some pixels: see `tinyvae.likelihoods`.

    Parameters
    ----------
    logits : array (n, D)
        float32 or float64, finite.

    Attributes
    ----------
    logits : array (n, D)
        As given.
    name : str
        "continuous_bernoulli".
    outputs : int
        How many numbers a pixel takes from the decoder: 1.
    is_density : bool
        True.
    check : function
        (name, x, n_features) -> x itself, or an error.
    loss : function
        (logits, x, losses): -log p(x | logits), nats, written into losses.
    loss_and_slope : function
        (logits, x, losses): the same, and the logits become dloss/dlogits.

    Raises
    ------
    ValueError
        If the logits have not two axes or are not finite.
    TypeError
        If they are neither float32 nor float64.

    Notes
    -----
    Source: Loaiza-Ganem & Cunningham 2019.
    """

    name = "continuous_bernoulli"
    outputs = 1
    is_density = True
    check = staticmethod(support.unit_interval)

    loss = staticmethod(kernels.continuous_bernoulli_loss)
    loss_and_slope = staticmethod(kernels.continuous_bernoulli_loss_and_slope)

    def __init__(self, logits):
        self.logits = validate.array("logits", logits, ("n", "D"))

    @staticmethod
    def parameters(n_features):
        """Those of its own, for n_features = D pixels: none, an empty dict."""
        return {}

    @staticmethod
    def start(x):
        """The logits (D,) of each pixel's mean over x (n, D), clipped to [.01, .99], by bisection: where to start."""
        wanted = np.clip(x.mean(axis=0, dtype="float64"), 0.01, 0.99)
        low, high = np.full((1, len(wanted)), -200.0), np.full((1, len(wanted)), 200.0)
        for _ in range(60):  # from an interval of 400 down to rounding
            middle = (low + high) / 2
            below = ContinuousBernoulli(middle).mean < wanted
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return middle[0]

    @property
    def mean(self):
        """The mean, (n, D): 1 / (1 - e^-l) - 1 / l, and 1/2 at l = 0."""
        slope = kernels.log_normaliser_slope_numpy(np.abs(self.logits))
        return np.where(self.logits > 0, 1 + slope, -slope)

    def log_prob(self, x):
        """log p(x), nats, the density's. x (n, D) in [0, 1] -> (n,).

        Raises
        ------
        ValueError
            For x outside [0, 1], not finite, empty, of a shape other than the logits', or uint8 other than 0 and 1.
        TypeError
            If x is neither float32, float64, bool nor uint8.
        """
        x = self.check("x", x, self.logits.shape[1]).astype(self.logits.dtype)
        validate.check_shape("x", x, self.logits.shape)
        losses = np.empty(len(x), self.logits.dtype)
        self.loss(self.logits, x, losses)
        return -losses

    def sample(self, rng):
        """Grey pixels, (n, D), one draw each, by the inverse of the distribution function at uniform numbers.

        rng: a numpy Generator. Raises TypeError for anything else.
        """
        uniform, l = validate.generator("rng", rng).random(self.logits.shape), self.logits.astype("float64")
        # F(x) = (1 - e^-mx) / (1 - e^-m) for l = -m; for l = m, its mirror image.
        m = np.maximum(np.abs(l), np.finfo("float64").tiny)
        x = -np.log1p(uniform * np.expm1(-m)) / m
        return np.clip(np.where(l > 0, 1 - x, x), 0, 1).astype(self.logits.dtype)
