"""The fused loops around BLAS, each below its NumPy twin. TINYVAE_NUMPY=1 switches the twins in."""

__all__ = []
