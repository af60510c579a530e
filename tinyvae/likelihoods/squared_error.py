"""The squared error, which is a loss and no density."""

from tinyvae import validate
from tinyvae.kernels import squared_error as kernels
from tinyvae.likelihoods import support

__all__ = ["SquaredError"]


class SquaredError:
    """The sum over the pixels of the squared distance: a loss, which no probability stands behind.

        loss = sum_d (x_d - mean_d)^2,  mean = outputs

    It is -log p of a Gaussian of variance 1/2, but for a constant, so that it trains as
    `tv.likelihoods.Gaussian(variance=0.5)` does:

        -log N(x; mean, I / 2) = sum_d (x_d - mean_d)^2 + D / 2 log(pi)

    Beside the KL it therefore weighs as if each pixel had a standard deviation of 0.71, more than any in [0, 1] has.
    What asks for a density (`log_prob`, `sample`, `log_likelihood`) refuses it.

    The class is the likelihood, an instance is what it says of some pixels: see `tinyvae.likelihoods`.

    Parameters
    ----------
    outputs : array (n, D)
        float32 or float64, finite.

    Attributes
    ----------
    mean : array (n, D)
        The outputs, as given. Before, on the class:
    name : str
        "squared_error".
    outputs : int
        How many numbers a pixel takes from the decoder: 1.
    is_density : bool
        False.
    check : function
        (name, x, n_features) -> x itself, or an error.
    loss : function
        (outputs, x, losses): the squared error of a row, written into losses.
    loss_and_slope : function
        (outputs, x, losses): the same, and the outputs become dloss/doutputs.

    Raises
    ------
    ValueError
        If the outputs have not two axes or are not finite.
    TypeError
        If they are neither float32 nor float64.
    """

    name = "squared_error"
    outputs = 1
    is_density = False
    check = staticmethod(support.real_numbers)

    loss = staticmethod(kernels.squared_error)
    loss_and_slope = staticmethod(kernels.squared_error_and_slope)

    def __init__(self, outputs):
        self.mean = validate.array("outputs", outputs, ("n", "D"))

    @staticmethod
    def parameters(n_features):
        """Those of its own, for n_features = D pixels: none, an empty dict."""
        return {}

    @staticmethod
    def start(x):
        """The outputs (D,) that are each pixel's mean over x (n, D): where a decoder may start."""
        return x.mean(axis=0, dtype="float64")

    @staticmethod
    def refuse(what):
        """Raise ValueError: `what` asks for a density. See `likelihoods.require_density`."""
        raise ValueError(
            f"{what} asks for a density, which the likelihood 'squared_error' is not: take gaussian:variance=0.5, "
            "in Python tv.likelihoods.Gaussian(variance=0.5), whose -log p is the squared error + D/2 log(pi)"
        )

    def log_prob(self, x):
        """No density: raises ValueError."""
        self.refuse("log_prob")

    def sample(self, rng):
        """No density: raises ValueError."""
        self.refuse("sample")
