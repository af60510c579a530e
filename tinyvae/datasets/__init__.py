"""Data to train on."""

from tinyvae.datasets.bundled import KINDS, Dataset, binarize, load, names

__all__ = ["Dataset", "binarize", "load", "names", "KINDS"]
