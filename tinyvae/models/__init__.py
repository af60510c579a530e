"""Models: a VAE, the target that its decoder makes, and the step that trains it."""

from tinyvae.models.reconstruction import NonFiniteLoss, Reconstruction
from tinyvae.models.vae import VAE

__all__ = ["VAE", "NonFiniteLoss", "Reconstruction"]
