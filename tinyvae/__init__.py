"""tinyvae: how the gradient of an expectation is estimated, on variational autoencoders written by hand."""

from tinyvae import datasets, distributions, estimators, evaluate, likelihoods, noise, objectives, optim, schedules
from tinyvae.distributions import Binary, Categorical, DiagonalGaussian, FullGaussian
from tinyvae.estimators import Draws, Target
from tinyvae.likelihoods import Bernoulli
from tinyvae.mlp import MLP
from tinyvae.models import VAE, VQVAE, Autoencoder, NonFiniteLoss, TwoLayerVAE
from tinyvae.objectives import ELBO, FreeBits, ImportanceWeighted
from tinyvae.optim import SGD, Adam
from tinyvae.training import History, fit, train

__all__ = [
    "VAE", "TwoLayerVAE", "Autoencoder", "VQVAE", "NonFiniteLoss", "train", "fit", "History", "ELBO", "FreeBits",
    "ImportanceWeighted", "Draws", "Target", "DiagonalGaussian", "FullGaussian", "Binary", "Categorical",
    "Bernoulli", "MLP", "SGD", "Adam", "check", "compare", "datasets", "distributions", "estimators", "evaluate",
    "likelihoods", "noise", "objectives", "optim", "problems", "schedules", "variance",
]  # fmt: skip

__version__ = "0.1.0"


def __getattr__(name):
    """The laboratory is loaded when it is first asked for: who only trains need not wait for it."""
    if name in ("check", "compare", "problems", "variance"):
        import tinyvae.check
        import tinyvae.compare
        import tinyvae.problems
        import tinyvae.variance

        return vars(tinyvae)[name]
    raise AttributeError(f"module 'tinyvae' has no attribute {name!r}")
