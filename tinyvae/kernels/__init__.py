"""Compiled loops, and passes over a whole network, each below its NumPy twin. TINYVAE_NUMPY=1 switches the twins in."""

__all__ = []
