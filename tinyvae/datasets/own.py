"""A reader's own data: a file or a folder of images becomes a Dataset, which says what was found."""

import math
import os
import tempfile
from pathlib import Path

import numpy as np

from tinyvae.datasets import bundled, formats, images
from tinyvae.datasets.dataset import Dataset
from tinyvae.machine.disk import is_large, pieces

__all__ = ["find", "read", "image_shape"]

HELD_OUT = 10  # of so many rows one, the last, is for the test
LEVELS = (1, 16, 255, 65535)  # the largest grey level of 1, 4 (counts of ink, 0 to 16), 8 and 16 bits
NAMES = {  # what an npz file may call its arrays; x_train, ... as Keras does
    "train": ("train", "x_train"), "test": ("test", "x_test"),
    "train_labels": ("train_labels", "y_train"), "test_labels": ("test_labels", "y_test"), "labels": ("labels", "y"),
}  # fmt: skip


def find(word):
    """The dataset of a name, see `load`, or of a file or a folder, see `read`.

    Parameters
    ----------
    word : str

    Returns
    -------
    Dataset
    """
    return bundled.load(word) if word in bundled.names() else read(word)


def read(path, holes=False):
    """Read data of your own, a row a data point, and split them into train and test.

    Parameters
    ----------
    path : str or path
        - npy: (n, features) or (n, rows, columns). One above 128 MB is mapped, and read when it is used.
        - npz: one such array, or `train` and `test`; with `labels`, `train_labels`, `test_labels` if you like.
        - csv: a row a line, between commas, semicolons or tabs; a first line of names, a column `label` may be there.
        - IDX, the format of MNIST.
        - a folder of images of one size, read by Pillow (`pip install pillow`): grey, or made so. Folders
          `train` and `test` in it are the split.

        csv and IDX may be compressed by gzip. The first bytes tell the format, not the name.
    holes : bool
        Whether values may be missing: an empty field of a csv file, NaN in an array, a pixel of an image that is wholly
        transparent (alpha 0). They are NaN in what is returned.

    Returns
    -------
    Dataset
        Whole numbers are rescaled to [0, 1], as float32, by the first of 1, 16, 255 and 65,535 that is not below the
        largest; what holds only 0 and 1 stays as it is, in uint8. Floats are left alone. Where the file has no split,
        `test` is the last tenth of the rows, at least one if there are two: in order, they are
        `np.concatenate([data.train, data.test])`. `found` says all of this in words.

    Raises
    ------
    ValueError
        If something does not fit: it begins with the path, and says what came and what to do.
    OSError
        If the file cannot be read.
    ImportError
        For a folder of images without Pillow.

    Notes
    -----
    Nothing is unpickled. A large npy file of grey levels in whole numbers is rescaled into a temporary file without a
    name, which goes when the process ends.
    """
    path = os.fspath(path)
    try:
        kind, arrays, remark, whole = _arrays(path)
    except OSError as error:
        raise type(error)(f"{path}: cannot be read: {error.strerror or error}") from error
    labels = {name: _labels(path, arrays.pop(name)) for name in list(arrays) if name.endswith("labels")}
    rows = {name: _rows(path, array) for name, array in arrays.items()}
    parts = {name: flat for name, (flat, _) in rows.items()}
    shapes = {shape for _, shape in rows.values()}
    if len({flat.shape[1] for flat in parts.values()}) > 1 or len(shapes) > 1:
        found = " and ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{path}: train and test differ in the shape of a row, {found}; give both the same")
    (shape,) = shapes
    dtype, ends, n_holes = _content(path, parts, holes)
    parts, scale = _rescaled(path, parts, ends, whole)
    data = _split(path, parts, labels, shape)
    what = f"{sum(map(len, parts.values())):,} rows of {math.prod(shape):,}"
    seen = f", {shape[0]} x {shape[1]}" if next(iter(arrays.values())).ndim == 3 else ""
    words = f"{path}: {kind}, {what}{seen}, {dtype}, {ends[0]:g} to {ends[1]:g}{scale}"
    if n_holes:
        words += f"; missing (NaN): {n_holes:,}"
    own = "its own split" if "train" in parts else "the test data are the last rows"
    return data._replace(found=f"{words}{remark}; train {len(data.train):,}, test {len(data.test):,}, {own}")


def image_shape(n_pixels):
    """The most square image of so many pixels, upright if it is not square.

    Parameters
    ----------
    n_pixels : int
        How many.

    Returns
    -------
    tuple of int
        (rows, columns).
    """
    columns = next(c for c in range(math.isqrt(n_pixels), 0, -1) if n_pixels % c == 0)
    return n_pixels // columns, columns


def _arrays(path):
    """The kind of file, its arrays by name ("all" where it has no split), a remark, and whether of whole numbers."""
    if os.path.isdir(path):
        return "images (black 0, white 1)", *images.folder(path), False
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path}: is neither a file nor a folder; give one")
    with open(path, "rb") as file:
        begins = file.read(8)
    ending = Path(path).suffix.lower()
    if not begins:
        raise ValueError(f"{path}: is an empty file; expected npy, npz, csv, IDX or a folder of images")
    if begins.startswith(b"\x93NUMPY"):
        array = formats.npy(path)
        return "npy", {"all": array}, "", array.dtype.kind in "biu"
    if begins.startswith(b"PK"):
        arrays = _named(path, formats.npz(path))
        return "npz", arrays, "", all(a.dtype.kind in "biu" for name, a in arrays.items() if "labels" not in name)
    if ending in (".npy", ".npz"):
        raise ValueError(f"{path}: is called {ending} and does not begin as such a file; write it again with NumPy")
    if begins.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")) or ending in images.ENDINGS:
        raise ValueError(f"{path}: is one image; give the folder that holds it")
    if begins.startswith(b"\0\0") or (begins.startswith(b"\x1f\x8b") and "idx" in Path(path).name.lower()):
        array = formats.idx(path)
        return "IDX", {"all": array}, "", array.dtype.kind in "iu"
    arrays, whole = formats.csv(path)
    return "csv of whole numbers" if whole else "csv", arrays, "", whole


def _named(path, arrays):
    """The arrays of an npz file under our names."""
    known = {ours: arrays[theirs] for ours, both in NAMES.items() for theirs in both if theirs in arrays}
    rest = {name: array for name, array in arrays.items() if not any(array is one for one in known.values())}
    if len(rest) == 1 and not {"train", "test"} & known.keys():
        return {"all": next(iter(rest.values()))} | {name: known[name] for name in known if name == "labels"}
    if "train" in known and "test" in known:
        return {name: array for name, array in known.items() if name != "labels"}
    if "train" in known and not rest:
        return {"all": known["train"]} | {"labels": known[name] for name in known if name == "train_labels"}
    found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
    raise ValueError(f"{path}: expected one array, or train and test, it holds {found}; save it so with np.savez")


def _labels(path, labels):
    if labels.ndim != 1 or labels.dtype.kind not in "iuf" or not np.isfinite(labels).all():
        raise ValueError(f"{path}: labels must be numbers, one a row, got {labels.dtype} of shape {labels.shape}")
    return labels.astype("int64")


def _rows(path, array):
    """The array as rows (n, features), and the shape of an image."""
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{path}: must hold real numbers, got {array.dtype}; convert it to float32")
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3):
        advice = "average its colours: array.mean(axis=3)" if array.ndim == 4 else "reshape it"
        raise ValueError(f"{path}: must have shape (n, features) or (n, rows, columns), got {array.shape}; {advice}")
    if not array.size:
        raise ValueError(f"{path}: holds no data, its shape is {array.shape}; give at least one row and one column")
    shape = array.shape[1:] if array.ndim == 3 else image_shape(array.shape[1])
    return array.reshape(len(array), math.prod(shape)), shape


def _content(path, parts, holes):
    """The type in words, the least and largest value, and the number of holes. Raises for what may not be there."""
    (dtype, *others) = {flat.dtype for flat in parts.values()}
    if others:
        raise ValueError(f"{path}: train is {parts['train'].dtype}, test {parts['test'].dtype}; save both as one type")
    least, most, n_holes, start = np.inf, -np.inf, 0, 0
    for flat in parts.values():
        for piece in pieces(flat):
            if dtype.kind == "f":
                missing = np.isnan(piece)
                if not holes and missing.any():
                    row, column = np.argwhere(missing)[0]
                    raise ValueError(
                        f"{path}: a value is missing at index ({start + row}, {column}) (NaN, an empty field or a "
                        "transparent pixel), where none may be; fill it in, or leave out its row"
                    )
                n_holes += int(missing.sum())
                piece = piece[~missing] if missing.any() else piece
                if np.isinf(piece).any():
                    raise ValueError(f"{path}: holds an infinite value; replace it")
            if piece.size:
                low, high = piece.min(), piece.max()
                least, most = min(least, low), max(most, high)
            start += len(piece)
    if least > most:
        raise ValueError(f"{path}: every value is missing; give data with some that are there")
    return dtype.name, (least, most), n_holes


def _rescaled(path, parts, ends, whole):
    """The parts as a model takes them, and what was done, in words."""
    dtype = next(iter(parts.values())).dtype
    least, most = ends
    if not whole:
        target = dtype.newbyteorder("=") if dtype.itemsize in (4, 8) else np.dtype(f"f{min(max(dtype.itemsize, 4), 8)}")
        if target != dtype:
            return {name: _converted(path, flat, target) for name, flat in parts.items()}, ""
        return parts, ""
    if least < 0 or most > LEVELS[-1]:
        raise ValueError(
            f"{path}: whole numbers from {least} to {most} are no grey levels, which lie in 0 to 65,535; "
            "give floats, which are left alone"
        )
    level = next(level for level in LEVELS if most <= level)
    if level > 1:
        return {name: _converted(path, flat, np.dtype("float32"), level) for name, flat in parts.items()}, (
            f", divided by {level:,}"
        )
    if dtype in (bool, np.uint8):
        return {name: flat.view("uint8") for name, flat in parts.items()}, ""
    bits = np.dtype("float32" if any(np.isnan(flat).any() for flat in parts.values()) else "uint8")
    return {name: _converted(path, flat, bits) for name, flat in parts.items()}, ""


def _converted(path, flat, dtype, level=1):
    """An array in another type, divided by the largest level; one that is mapped is mapped again."""

    def of(piece):
        piece = piece.astype(dtype)
        return piece / dtype.type(level) if level > 1 else piece

    if not is_large(flat):
        formats.require_room(path, flat.size * dtype.itemsize)
        return of(flat)
    with tempfile.TemporaryFile() as file:
        try:
            for piece in pieces(flat):
                file.write(of(piece).data)
            file.flush()
        except OSError as error:
            room = f"{flat.size * dtype.itemsize / 1e9:,.1f} GB in {tempfile.gettempdir()}"
            raise ValueError(f"{path}: to be rescaled it needs {room} ({error.strerror}); set TMPDIR") from error
        return np.memmap(file, dtype, "r", shape=flat.shape)


def _split(path, parts, labels, shape):
    if "all" in parts:
        rows = parts["all"]
        n = len(rows) - max(len(rows) // HELD_OUT, min(1, len(rows) - 1))
        parts = {"train": rows[:n], "test": rows[n:]}
        if "labels" in labels:
            if len(labels["labels"]) != len(rows):
                raise ValueError(f"{path}: has {len(labels['labels'])} labels for {len(rows)} rows; give each row one")
            labels = {"train_labels": labels["labels"][:n], "test_labels": labels["labels"][n:]}
    for part in ("train", "test"):
        own = labels.get(f"{part}_labels")
        if own is not None and len(own) != len(parts[part]):
            raise ValueError(f"{path}: has {len(own)} {part}_labels for {len(parts[part])} rows; give each row one")
    return Dataset(parts["train"], parts["test"], labels.get("train_labels"), labels.get("test_labels"), shape)
