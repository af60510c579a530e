"""Models: a VAE, a plain autoencoder, a VQ-VAE and priors of its codes; a decoder's target, and a VAE's step."""

from tinyvae.models.autoencoder import Autoencoder
from tinyvae.models.codes_prior import AutoregressivePrior, PositionPrior
from tinyvae.models.model import Model, kind_of
from tinyvae.models.reconstruction import NonFiniteLoss, Reconstruction
from tinyvae.models.vae import VAE
from tinyvae.models.vq import VQVAE

__all__ = [
    "VAE", "Autoencoder", "VQVAE", "Model", "NonFiniteLoss", "Reconstruction", "PositionPrior", "AutoregressivePrior",
    "kind_of",
]  # fmt: skip
