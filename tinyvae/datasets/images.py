"""Grey images from a folder of image files, read by Pillow (the extra `images`)."""

import os
import warnings
from pathlib import Path

import numpy as np

from tinyvae.datasets.formats import require_room

__all__ = ["folder", "ENDINGS"]

ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


def folder(path):
    """The images in a folder and the folders within it, in the order of their names.

    Parameters
    ----------
    path : str

    Returns
    -------
    dict
        {"train": images, "test": images} where the folder holds folders of these names, else {"all": images}. Images
        are (n, rows, columns), float32: grey levels in [0, 1], colours by their luminance, NaN where a pixel is
        wholly transparent.
    str
        What else there was, in words.

    Raises
    ------
    ValueError
        If there is no image, or one that cannot be read, moves, or has another size than the first.
    ImportError
        If Pillow is not there.
    """
    try:
        import PIL.Image as pillow
    except ImportError as error:
        raise ImportError("a folder of images needs Pillow: pip install pillow") from error
    root = Path(path)
    os.scandir(root).close()  # rglob would take a folder that it may not read for an empty one
    found = sorted(file for file in root.rglob("*") if _is_shown(file, root) and file.is_file())
    files = [file for file in found if file.suffix.lower() in ENDINGS]
    if not files:
        what = f"{len(found)} other file{'s' * (len(found) > 1)}" if found else "nothing"
        raise ValueError(f"{path}: is a folder without images: expected files {' '.join(ENDINGS)}, it holds {what}")
    size, n_coloured = None, 0
    images = np.empty((0, 0, 0), "float32")
    for i, file in enumerate(files):
        image, coloured = _image(pillow, file)
        n_coloured += coloured
        if size is None:
            size = image.shape
            require_room(path, len(files) * image.nbytes)
            images = np.empty((len(files), *size), "float32")
        if image.shape != size:
            shapes = f"{image.shape[0]} x {image.shape[1]} pixels, {files[0]} has {size[0]} x {size[1]}"
            raise ValueError(f"{file}: has {shapes}; give all images one size")
        images[i] = image
    words = f"; files that are no images are left out: {len(found) - len(files)}" if len(found) > len(files) else ""
    words += f"; in colour, and made grey: {n_coloured:,}" if n_coloured else ""
    first = np.array([file.relative_to(root).parts[0] if file.parent != root else "" for file in files])
    if set(first) == {"train", "test"}:
        return {part: images[first == part] for part in ("train", "test")}, words
    return {"all": images}, words


def _is_shown(file, root):
    return not any(part.startswith(".") for part in file.relative_to(root).parts)


def _image(pillow, file):
    """One image (rows, columns) in [0, 1], float32, NaN where it is transparent; and whether it had colours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(file) as image:
                if getattr(image, "n_frames", 1) > 1:
                    raise ValueError(f"it has {image.n_frames} frames; give each as an image of its own")
                image.load()
                holes = None
                if image.has_transparency_data:
                    holes = np.asarray(image.convert("RGBA"))[..., 3] == 0
                deep = image.mode.startswith(("I", "F"))
                grey = deep or image.mode in ("1", "L", "LA", "La")
                coloured = not grey and bool(np.ptp(np.asarray(image.convert("RGB")), axis=2).any())
                pixels = np.asarray(image if deep else image.convert("L"))
    except Exception as error:  # each format fails in its own way
        reason = str(error).replace(repr(str(file)), "it").replace(str(file), "it").removeprefix("it: ")
        if isinstance(error, pillow.UnidentifiedImageError):
            reason = "Pillow knows no such format; take it out of the folder, or save it again as png"
        raise ValueError(f"{file}: cannot be read as an image: {reason}") from error
    if not deep:
        levels = pixels.astype("float32") / 255
    elif pixels.dtype.kind == "f":
        levels = pixels.astype("float32")
    elif pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError(f"{file}: has levels from {pixels.min()} to {pixels.max()}, expected 0 to 65535; convert it")
    else:
        levels = pixels.astype("float32") / 65535
    if holes is not None:
        levels[holes] = np.nan
    return levels, coloured
