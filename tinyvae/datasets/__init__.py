"""Data to train on."""

from tinyvae.datasets.bundled import Dataset, binarize, load, names

__all__ = ["Dataset", "binarize", "load", "names"]
