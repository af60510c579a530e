"""Data to train on."""

from tinyvae.datasets.bundled import KINDS, binarize, load, names
from tinyvae.datasets.dataset import Dataset
from tinyvae.datasets.own import find, image_shape, read
from tinyvae.datasets.shapes import Shapes, shapes

__all__ = ["Dataset", "binarize", "load", "names", "find", "read", "shapes", "Shapes", "image_shape", "KINDS"]
