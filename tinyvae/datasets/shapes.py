"""Small images whose factors are known: for experiments with a truth to compare with."""

from typing import NamedTuple

import numpy as np

from tinyvae import validate

__all__ = ["Shapes", "shapes", "SHAPES"]

SHAPES = ("ellipse", "rectangle", "triangle")
WIDTH = 0.5  # of a shape's half-length is its half-width: one as wide as long would have no angle
FINE = 5  # points on each side of a pixel at which it is asked whether they lie inside
CHUNK = 2**20  # such points that are held at once, about


class Shapes(NamedTuple):
    """What `shapes` returns.

    Attributes
    ----------
    images : array (n, n_pixels ** 2)
        float32 in [0, 1]: how much of a pixel the shape covers.
    factors : dict
        {name: array (n,)} of what each image shows: "kind", an index into ("ellipse", "rectangle", "triangle"), int64;
        "row" and "column" of its centre of mass, "size", the radius of the disc about it that holds the shape, in
        shares of the image's side, the origin at the upper left; "angle", by which it is turned from lying,
        counter-clockwise, in radians.
    image_shape : tuple
        (n_pixels, n_pixels).
    """

    images: np.ndarray
    factors: dict
    image_shape: tuple[int, int]


def shapes(n, rng, n_pixels=16, **factors):
    """Draw small grey images, one shape each, whose factors are returned with them.

    The kind of three, the size from 0.15 to 0.3, and the angle of half a turn, after which an ellipse and a rectangle
    look the same, are drawn independently and uniformly; row and column so, too, given the size, from `size` to
    1 - `size`, where the shape stays inside the image. So a small shape may lie further out than a large one: factors
    that must not know of each other need a fixed `size`, or a row and a column of one's own.

    Parameters
    ----------
    n : int
        How many images.
    rng : numpy.random.Generator
    n_pixels : int
        On each side of an image, at least 4.
    **factors : number or array (n,)
        kind, row, column, size or angle, to be that instead of drawn; a number stands for all images, and kind may be a
        name. All factors are drawn first, so that fixing one leaves the others as they were.

    Returns
    -------
    Shapes

    Raises
    ------
    ValueError or TypeError
        For an unknown factor, one of another length or out of its range (rows and columns 0 to 1, sizes above 0 and at
        most 1), or numbers too small.
    """
    n, n_pixels = validate.integer("n", n, least=1), validate.integer("n_pixels", n_pixels, least=4)
    validate.generator("rng", rng)
    size = rng.uniform(0.15, 0.3, n)
    drawn = {
        "kind": rng.integers(len(SHAPES), size=n),
        "row": size + rng.random(n) * (1 - 2 * size),
        "column": size + rng.random(n) * (1 - 2 * size),
        "size": size,
        "angle": rng.uniform(0, np.pi, n),
    }
    for name, value in factors.items():
        drawn[validate.choice("a factor", name, tuple(drawn))] = _given(name, value, n)
    per_chunk = max(1, CHUNK // (n_pixels * FINE) ** 2)
    images = np.concatenate(
        [
            _covered({name: value[i : i + per_chunk] for name, value in drawn.items()}, n_pixels)
            for i in range(0, n, per_chunk)
        ]
    )
    return Shapes(images, drawn, (n_pixels, n_pixels))


def _given(name, value, n):
    """A factor that was asked for, (n,)."""
    if name == "kind" and isinstance(value, str):
        value = SHAPES.index(validate.choice("kind", value, SHAPES))
    value = validate.real(name, value)
    if value.shape not in ((), (n,)):
        raise ValueError(f"{name} must be one number or {n}, got shape {value.shape}")
    value = np.broadcast_to(value, (n,))
    if name == "kind":
        if value.dtype.kind not in "iu":
            raise TypeError(f"kind must be an index or a name, got {value.dtype}")
        fits, wanted, value = (value >= 0) & (value < len(SHAPES)), f"0 to {len(SHAPES) - 1}", value.astype("int64")
    else:
        value = value.astype("float64")
        least, wanted = (np.nextafter(0, 1), "above 0 and at most 1") if name == "size" else (0.0, "0 to 1")
        fits = np.isfinite(value) if name == "angle" else (value >= least) & (value <= 1)
        wanted = "finite" if name == "angle" else wanted
    if not fits.all():
        raise ValueError(f"{name} must be {wanted}, got {value[~fits][0]}")
    return value


def _covered(factors, n_pixels):
    """How much of each pixel is inside, (m, n_pixels ** 2): the share of its FINE x FINE points."""
    kind, row, column, size, angle = (
        factors[name][:, None, None] for name in ("kind", "row", "column", "size", "angle")
    )
    points = (np.arange(n_pixels * FINE) + 0.5) / (n_pixels * FINE)
    right, up = points[None, None, :] - column, row - points[None, :, None]  # m, 1, p and m, p, 1
    along = (np.cos(angle) * right + np.sin(angle) * up) / size  # m, p, p
    across = (np.cos(angle) * up - np.sin(angle) * right) / (WIDTH * size)
    inside = np.select(
        [kind == 0, kind == 1],
        [along**2 + across**2 <= 1, np.maximum(np.abs(along), np.abs(across)) <= 0.75],
        # Its corners at -1/2 on both sides and at 1 along: the centre is that of its mass.
        (along >= -0.5) & (np.abs(across) <= (1 - along) / 1.5),
    )
    fine = inside.reshape(len(inside), n_pixels, FINE, n_pixels, FINE)
    return fine.mean(axis=(2, 4)).reshape(len(inside), -1).astype("float32")
