"""Pictures of what a model makes of an image: holes filled in, the training images nearest to a sample."""

import numpy as np
from matplotlib.colors import ListedColormap

from tinyvae.plots.canvas import new_axes
from tinyvae.plots.images import limits, samples, show, tile
from tinyvae.plots.looks import BLACK

__all__ = ["fillings", "neighbours"]

HOLE = "#E69F00"  # no grey: a hole is not taken for a pixel


def fillings(x, draws, image_shape, shown=4):
    """Images with holes, and below them the mean of what was drawn for each, and the first draws.

    Parameters
    ----------
    x : array (n, features)
        NaN where a pixel is missing: it is orange.
    draws : array (n_draws, n, features)
        As from `tinyvae.evaluate.impute`.
    image_shape : tuple
        (rows, columns); rows * columns = features.
    shown : int
        How many draws are shown, at most.

    Returns
    -------
    matplotlib.figure.Figure
    """
    x, draws, n = np.asarray(x), np.asarray(draws), len(x)
    shown = min(shown, len(draws))
    names = ["as it came", f"mean of {len(draws)}", *(f"draw {i + 1}" for i in range(shown))]
    pictures = tile(np.concatenate([x, draws.mean(axis=0), *draws[:shown]]), image_shape, columns=n)
    width, ratio = max(0.6 * n + 1.6, 4), image_shape[0] / image_shape[1]
    axes = new_axes(width, 0.6 * len(names) * ratio + 0.4)
    show(axes, pictures, limits(x))
    holes = tile(np.isnan(x).astype(float), image_shape, columns=n)
    height = image_shape[0] + 1
    axes.imshow(
        np.where(holes == 1, 1, np.nan),
        cmap=ListedColormap([HOLE]),
        extent=(-0.5, holes.shape[1] - 0.5, holes.shape[0] - 0.5, -0.5),
        interpolation="nearest",
    )
    axes.set(xlim=(-0.5, pictures.shape[1] - 0.5), ylim=(pictures.shape[0] - 0.5, -0.5))
    for row, name in enumerate(names):
        axes.text(-1.5, height * (row + 0.5) - 1, name, ha="right", va="center", color=BLACK)
    axes.set_title("Filled in: what is missing is orange")
    return axes.figure


def neighbours(images, nearest, image_shape, title="Samples, and below each the nearest training images"):
    """Images, and below each the training images nearest to it.

    Parameters
    ----------
    images : array (n, features)
        Such as samples.
    nearest : array (n, m, features)
        The m nearest of each, such as `train[tinyvae.evaluate.nearest(images, train, m)[0]]`.
    image_shape : tuple
        (rows, columns); rows * columns = features.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    images, nearest = np.asarray(images), np.asarray(nearest)
    rows = np.concatenate([images[None], nearest.swapaxes(0, 1)])  # 1 + m, n, features
    names = ["sample", *(f"nearest {i + 1}" if len(rows) > 2 else "nearest" for i in range(len(rows) - 1))]
    return samples(rows.reshape(-1, images.shape[1]), image_shape, title, len(images), names)
