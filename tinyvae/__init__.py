"""tinyvae: how the gradient of an expectation is estimated, on variational autoencoders written by hand."""

from tinyvae import check, datasets, estimators, evaluate, noise, objectives, optim, problems, variance
from tinyvae.distributions import Bernoulli, DiagonalGaussian
from tinyvae.estimators import Draws, Target
from tinyvae.mlp import MLP
from tinyvae.objectives import ELBO, ImportanceWeighted
from tinyvae.optim import SGD, Adam
from tinyvae.train import History, fit, train
from tinyvae.vae import VAE, NonFiniteLoss

__version__ = "0.1.0"
