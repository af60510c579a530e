"""Models: a VAE, one of two layers, a plain autoencoder, a VQ-VAE and priors of its codes; and a step of each."""

from tinyvae.models.autoencoder import Autoencoder
from tinyvae.models.codes_prior import AutoregressivePrior, PositionPrior
from tinyvae.models.model import Model, kind_of
from tinyvae.models.reconstruction import NonFiniteLoss, Reconstruction
from tinyvae.models.two_layers import TwoLayerVAE
from tinyvae.models.vae import VAE
from tinyvae.models.vq import VQVAE

__all__ = [
    "VAE", "TwoLayerVAE", "Autoencoder", "VQVAE", "Model", "NonFiniteLoss", "Reconstruction", "PositionPrior",
    "AutoregressivePrior", "kind_of",
]  # fmt: skip
