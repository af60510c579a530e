"""What a dataset is: two arrays of rows, labels where there are some, and the shape of an image."""

from typing import NamedTuple

import numpy as np

__all__ = ["Dataset"]


class Dataset(NamedTuple):
    """Images in a fixed split, one image a row.

    Attributes
    ----------
    train : array (n, features)
        Values in [0, 1].
    test : array (n, features)
        Likewise.
    train_labels : array (n,)
        int64, or None where the source has none.
    test_labels : array (n,)
        Likewise.
    image_shape : tuple
        (rows, columns); rows * columns = features.
    found : str
        Of a file that was read: what was found in it, and what became of it.
    """

    train: np.ndarray
    test: np.ndarray
    train_labels: np.ndarray | None
    test_labels: np.ndarray | None
    image_shape: tuple[int, int]
    found: str = ""
