"""What can be sampled or scored: the Gaussian over latents, the likelihoods over data."""

from tinyvae.distributions.bernoulli import Bernoulli
from tinyvae.distributions.gaussian import DiagonalGaussian

LIKELIHOODS = {"bernoulli": Bernoulli}
