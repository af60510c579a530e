"""tinyvae: how the gradient of an expectation is estimated, on variational autoencoders written by hand."""

from tinyvae import (
    check,
    datasets,
    distributions,
    estimators,
    evaluate,
    likelihoods,
    noise,
    objectives,
    optim,
    problems,
    variance,
)  # fmt: skip
from tinyvae.distributions import DiagonalGaussian
from tinyvae.estimators import Draws, Target
from tinyvae.likelihoods import Bernoulli
from tinyvae.mlp import MLP
from tinyvae.models import VAE, NonFiniteLoss
from tinyvae.objectives import ELBO, ImportanceWeighted
from tinyvae.optim import SGD, Adam
from tinyvae.training import History, fit, train

__all__ = [
    "VAE", "NonFiniteLoss", "train", "fit", "History", "ELBO", "ImportanceWeighted", "Draws", "Target",
    "DiagonalGaussian", "Bernoulli", "MLP", "SGD", "Adam", "check", "datasets", "distributions", "estimators",
    "evaluate", "likelihoods", "noise", "objectives", "optim", "problems", "variance",
]  # fmt: skip

__version__ = "0.1.0"
