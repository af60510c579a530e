"""Grey pixels as a density asks for them, and a Bernoulli's outputs read as a continuous Bernoulli's means."""

import numpy as np

from tinyvae.likelihoods import ContinuousBernoulli

__all__ = ["LEVELS", "OfMeans", "logits_of_means", "spread_levels"]

LEVELS = 17  # of the bundled digits' pixels


def spread_levels(x, rng):
    """Grey levels k / 16 spread evenly over their width, (k + u) / 17: what a density is of.

    Without it a pixel that is 0 in all images has the higher a density the nearer lambda comes to 0, without end.

    Parameters
    ----------
    x : array (n, D)
        In [0, 1], of LEVELS levels.
    rng : numpy.random.Generator

    Returns
    -------
    array (n, D)
        float32, in [0, 1]; the same levels, where they are read from it again.
    """
    levels = np.round(np.asarray(x, "float64") * (LEVELS - 1))
    return ((levels + rng.random(x.shape)) / LEVELS).astype("float32")


# Of lambda's logit -t the mean is 1/t - 1/(e^t - 1). A table of t against the logit -a of that mean; late, t = e^a.
_T = np.concatenate([np.linspace(1e-3, 4, 4000), np.geomspace(4, 1e9, 20_000)[1:]])
_MEANS = ContinuousBernoulli(-_T[None]).mean[0]
_A = np.concatenate([[0.0], np.log1p(-_MEANS) - np.log(_MEANS)])
_LOG_T = np.concatenate([[0.0], np.log1p(_T)])


def logits_of_means(logits):
    """The logit of lambda for which a continuous Bernoulli's mean is sigmoid(logits): mu^-1, of their notation.

    Parameters
    ----------
    logits : array
        Between -20 and 20; what lies outside is taken for the nearer end.

    Returns
    -------
    array
        Of the same dtype, right to 1e-6 of it.
    """
    found = np.sign(logits) * np.expm1(np.interp(np.minimum(np.abs(logits), 20), _A, _LOG_T))
    return found.astype(logits.dtype)


class OfMeans:
    """The continuous Bernoulli of whose mean the outputs are the logits: what a Bernoulli's decoder may have meant.

    It is there to score a trained model, not to train one.
    """

    name = "continuous_bernoulli_of_means"
    outputs = 1
    is_density = True
    check = staticmethod(ContinuousBernoulli.check)
    parameters = staticmethod(ContinuousBernoulli.parameters)

    def __call__(self, outputs):
        """The `ContinuousBernoulli` of these means."""
        return ContinuousBernoulli(logits_of_means(outputs))

    @staticmethod
    def loss(outputs, x, losses):
        """Write -log p(x | outputs), nats, into losses; see `tinyvae.likelihoods`."""
        ContinuousBernoulli.loss(logits_of_means(outputs), x, losses)

    @staticmethod
    def loss_and_slope(outputs, x, losses):
        """Raise NotImplementedError: no model is trained by it."""
        raise NotImplementedError("OfMeans is there to score a trained model; train with continuous_bernoulli")
