"""The Bernoulli likelihood, computed from logits."""

import numpy as np

from tinyvae import validate
from tinyvae.kernels import bernoulli as kernels
from tinyvae.kernels import dense
from tinyvae.likelihoods import support

__all__ = ["Bernoulli"]


class Bernoulli:
    """Pixels that are one with a probability of their own, and zero otherwise.

        p(x) = prod_d m_d^x_d (1 - m_d)^(1 - x_d),  mean m = sigmoid(logits)

    For x strictly between 0 and 1 the same formula is the cross-entropy that the literature reports
    for grey levels; it is no density (Loaiza-Ganem & Cunningham 2019).

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
        "bernoulli".
    outputs : int
        How many numbers a pixel takes from the decoder: 1.
    is_density : bool
        False: of grey levels it is no density; of bits, which it weighs with probabilities, it is a distribution.
    takes_bits : bool
        True: black and white pixels may come as uint8.
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
    """

    name = "bernoulli"
    outputs = 1
    is_density = False  # of grey levels; of bits, which it weighs with probabilities, it is a distribution
    takes_bits = True  # as uint8: training adds up rows where it would multiply by 0 and 1
    check = staticmethod(support.unit_interval)  # check(name, x, n_features): x itself, or an error

    loss = staticmethod(kernels.bernoulli_loss)
    loss_and_slope = staticmethod(kernels.bernoulli_loss_and_slope)

    def __init__(self, logits):
        self.logits = validate.array("logits", logits, ("n", "D"))

    @staticmethod
    def parameters(n_features):
        """Those of its own, for n_features = D pixels: none, an empty dict."""
        return {}

    @staticmethod
    def start(x):
        """The logits (D,) of each pixel's mean over x (n, D), clipped to [.001, .999]: where a decoder may start."""
        mean = np.clip(x.mean(axis=0, dtype="float64"), 0.001, 0.999)
        return np.log(mean / (1 - mean))

    @property
    def mean(self):
        """sigmoid(logits), (n, D), computed so that no logit overflows."""
        mean = self.logits.copy()
        dense.bias_sigmoid(mean, np.zeros(mean.shape[1], mean.dtype))
        return mean

    def log_prob(self, x):
        """log p(x) = sum_d [x_d l_d - log(1 + exp l_d)], nats. x (n, D) in [0, 1] -> (n,).

        Exact for logits of any size.

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
        """Black or white pixels, uint8 holding 0 and 1, (n, D): one draw each.

        rng: a numpy Generator. Raises TypeError for anything else.
        """
        return (validate.generator("rng", rng).random(self.logits.shape) < self.mean).astype("uint8")
