"""Models: a VAE and a plain autoencoder, the target that a decoder makes, and the step that trains a VAE."""

from tinyvae.models.autoencoder import Autoencoder
from tinyvae.models.model import Model
from tinyvae.models.reconstruction import NonFiniteLoss, Reconstruction
from tinyvae.models.vae import VAE

__all__ = ["VAE", "Autoencoder", "Model", "NonFiniteLoss", "Reconstruction"]
