"""Real images by name: the digits that come with the package, and larger sets, which are files of others."""

import functools
import os
from importlib import resources
from pathlib import Path

import numpy as np

from tinyvae import validate
from tinyvae.datasets import download
from tinyvae.datasets.dataset import Dataset
from tinyvae.machine.disk import pieces

__all__ = ["binarize", "load", "names", "KINDS"]


def names():
    """The names that `load` knows; "digits" comes with the package.

    Returns
    -------
    tuple of str
        In alphabetical order.
    """
    return tuple(sorted(_LOADERS))


def load(name):
    """Load a dataset by its name.

    Parameters
    ----------
    name : str
        One of `names()`:

        - "digits": 1,437 + 360 grey digits, 8 x 8, float32, with labels; comes with the package.
          Source: Alpaydin & Kaynak (1998), UCI, doi:10.24432/C50P49; the split is in data/README.md.
        - "binarized_mnist": 50,000 + 10,000 digits, 28 x 28, uint8 holding 0 and 1, without labels. `test` holds the
          published *validation* rows, so that the real test rows stay unseen. From files in the folder that the
          environment variable TINYVAE_DATA names. Source: Larochelle & Murray (2011).
        - "fashion_mnist": 60,000 + 10,000 grey articles of clothing, 28 x 28, float32, with labels. Its files are taken
          from the folder fashion_mnist in TINYVAE_DATA, or downloaded once by pooch (`pip install pooch`)
          to its cache; only the published ones are opened. Source: Xiao, Rasul & Vollgraf (2017).
        - "frey_faces": 1,769 + 196 frames of one face, 28 x 20, grey, float32, without labels. `test` holds the last
          tenth of the film: a random tenth would hold near-copies of the training frames. From a file in TINYVAE_DATA.
          Source: Roweis.
        - "mnist": 60,000 + 10,000 grey digits, 28 x 28, float32, with labels, had like "fashion_mnist". Source: LeCun,
          Bottou, Bengio & Haffner (1998).

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        For an unknown name, or a file that holds something else.
    FileNotFoundError
        Where a file is not in TINYVAE_DATA, nor can be downloaded: the message says which goes where.
    """
    return _LOADERS[validate.choice("name", name, names())]()


def binarize(x, rng):
    """Draw each pixel once as black or white.

        b ~ Bernoulli(x)

    Parameters
    ----------
    x : array (n, features)
        Grey levels in [0, 1].
    rng : numpy.random.Generator

    Returns
    -------
    array (n, features)
        b, uint8 holding 0 and 1; its mean over draws is x.

    Raises
    ------
    ValueError
        For a value outside [0, 1] or not finite, or another shape.
    TypeError
        For another dtype or for no generator.

    Notes
    -----
    Source: the practice of Salakhutdinov & Murray (2008), On the Quantitative Analysis of Deep Belief Networks.
    """
    x, rng = validate.data("x", x, "features"), validate.generator("rng", rng)
    # Uniforms in float64 whatever x is: one seed gives the same bits for float32 and float64.
    bits, start = np.empty(x.shape, np.uint8), 0
    for piece in pieces(x):
        bits[start : start + len(piece)] = rng.random(piece.shape) < piece
        start += len(piece)
    return bits


def _digits():
    path = resources.files("tinyvae") / "data" / "digits.npz"
    if not path.is_file():  # a checkout keeps data/ beside the package; the wheel carries it inside
        path = Path(__file__).parents[2] / "data" / "digits.npz"
    with path.open("rb") as file, np.load(file) as arrays:
        train, test = (arrays[key].astype(np.float32) / 16 for key in ("train", "test"))
        labels = (arrays[key].astype(np.int64) for key in ("train_labels", "test_labels"))
        return Dataset(train, test, *labels, image_shape=(8, 8))


def _binarized_mnist():
    def rows(part, n):
        packed = _read(f"binarized_mnist_{part}.npz", (n, 784 // 8), key="bits")
        return np.unpackbits(packed, axis=1)

    return Dataset(rows("train", 50_000), rows("valid", 10_000), None, None, image_shape=(28, 28))


def _frey_faces():
    faces = _read("frey_faces.npy", (1965, 560)).astype(np.float32) / 255
    n_test = len(faces) // 10
    return Dataset(faces[:-n_test], faces[-n_test:], None, None, image_shape=(28, 20))


KINDS = {  # what each holds, in a few words: training + test images, pixels
    "digits": "1,437 + 360 grey digits, 8 x 8",
    "binarized_mnist": "50,000 + 10,000 black and white digits, 28 x 28",
    "fashion_mnist": "60,000 + 10,000 grey articles of clothing, 28 x 28, downloaded once",
    "frey_faces": "1,769 + 196 grey frames of one face, 28 x 20",
    "mnist": "60,000 + 10,000 grey digits, 28 x 28, downloaded once",
}
_LOADERS = {
    "digits": _digits,
    "binarized_mnist": _binarized_mnist,
    "frey_faces": _frey_faces,
    **{name: functools.partial(download.images, name) for name in download.FILES},
}
_INSTEAD = "or take 'digits', which come with tinyvae."


def _read(filename, shape, key=None):
    """One uint8 array from a file in TINYVAE_DATA; `key` names it inside an .npz file."""
    folder = os.environ.get("TINYVAE_DATA")
    if not folder:
        raise FileNotFoundError(
            f"{filename}: TINYVAE_DATA is not set. Set this environment variable to the folder that holds "
            f"the file, {_INSTEAD}"
        )
    path = Path(folder) / filename
    if not path.is_file():
        raise FileNotFoundError(
            f"{filename}: not found in TINYVAE_DATA={folder}. "
            f"Put the file there, set TINYVAE_DATA to the folder that holds it, {_INSTEAD}"
        )
    expected = f"a uint8 array of shape {shape}" + (f" under the key {key!r}" if key else "")
    advice = "The file is damaged or another one: replace it."
    try:
        # Opened here: np.load leaves its file open when a damaged archive makes it raise.
        with path.open("rb") as file:
            loaded = np.load(file)
            array = loaded[key] if key else loaded
    except Exception as error:  # each format fails in its own way: zipfile, zlib, EOF, key, value
        raise ValueError(f"{path}: expected {expected}, got {error!r}. {advice}") from error
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != np.uint8:
        got = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"{path}: expected {expected}, got {got}. {advice}")
    return array
