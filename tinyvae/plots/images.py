"""Pictures of what was learnt: samples, reconstructions, the latent space."""

import numpy as np
from matplotlib.patheffects import withStroke

from tinyvae.plots.canvas import new_axes, readable
from tinyvae.plots.looks import BLACK, styles

__all__ = ["samples", "reconstructions", "latents", "tile", "limits", "show", "CLASSES"]

# Ten classes: no ten colours are told apart by everyone, so each point is drawn as its digit, too.
CLASSES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933", "#5D3A9B")


def samples(images, image_shape, title="Samples from the prior", columns=10, rows=(), axes=None):
    """A grid of images.

    Parameters
    ----------
    images : array (n, features)
        In [0, 1]; where they are not, the palest and the darkest pixel are white and black, see `limits`.
    image_shape : tuple
        (rows, columns); rows * columns = features.
    title : str
    columns : int
        Images in a row.
    rows : sequence of str
        The rows' names, at their left.
    axes : matplotlib.axes.Axes
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    n_rows, names = -(-len(images) // columns), 0.14 * max(map(len, rows), default=0)
    width = max(0.6 * columns + names, 0.09 * len(title))  # inches: a letter takes so many
    axes = axes or new_axes(width, 0.6 * n_rows * image_shape[0] / image_shape[1] + 0.4)
    show(axes, tile(images, image_shape, columns), limits(images))
    for row, name in enumerate(rows):
        middle = (image_shape[0] + 1) * (row + 0.5) - 1
        axes.text(-1.5, middle, name, ha="right", va="center", color=BLACK)
    axes.set_title(title)
    return axes.figure


def reconstructions(originals, models, image_shape, axes=None):
    """A row of originals, and below it a row of reconstructions for each estimator.

    Parameters
    ----------
    originals : array (n, features)
        In [0, 1].
    models : dict
        {estimator: (n, features)}, the reconstructions.
    image_shape : tuple
        (rows, columns); rows * columns = features.
    axes : matplotlib.axes.Axes
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    n = len(originals)
    axes = axes or new_axes(0.6 * n + 1.5, 0.7 * (len(models) + 1) * image_shape[0] / image_shape[1])
    show(axes, tile(np.concatenate([originals, *models.values()]), image_shape, columns=n))
    height, looks = image_shape[0] + 1, styles(models)
    for row, name in enumerate(("original", *models)):
        color = looks[name]["color"] if row else BLACK
        axes.text(-1, 0.5 + height * (row + 0.5), readable(name), ha="right", va="center", color=color)
    axes.set_title("Test images and their reconstructions")
    return axes.figure


def latents(mu, labels, title="Latent space, posterior means", axes=None, n_ways=1):
    """The latent space: each data point at its posterior mean, drawn as its digit and coloured by it.

    Of more than two latents, the two whose means vary most are drawn; a single latent is drawn against the digit.

    Parameters
    ----------
    mu : array (n, K)
        Posterior means, K >= 1.
    labels : array (n,) or None
        Integers 0 to 9; without them the points are dots.
    title : str
    axes : matplotlib.axes.Axes
        Where to draw; None makes a figure.
    n_ways : int
        Means that a latent has, one after the other: of a choice among W ways W, the probabilities.

    Returns
    -------
    matplotlib.figure.Figure
    """
    mu, marks = np.asarray(mu), np.zeros(len(mu)) if labels is None else np.asarray(labels)
    axes = axes or new_axes(5, 5)
    shown = np.sort(np.argsort(-mu.var(axis=0), kind="stable")[:2])
    first, second = mu[:, shown[0]], mu[:, shown[1]] if len(shown) > 1 else marks
    if labels is None:
        axes.scatter(first, second, s=6, linewidths=0, alpha=0.8)
    for digit in np.unique(marks) if labels is not None else ():
        here, color = marks == digit, CLASSES[digit % len(CLASSES)]
        axes.scatter(first[here], second[here], s=22, marker=f"${digit}$", color=color, linewidths=0, alpha=0.8)
        axes.text(
            np.median(first[here]),
            np.median(second[here]),
            str(digit),
            color=color,
            fontsize=17,
            weight="bold",
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
    names = [
        f"latent {k // n_ways + 1}" + f", way {k % n_ways + 1}" * (n_ways > 1) + " (posterior mean)" for k in shown
    ]
    names.append("digit" if labels is not None else "")
    axes.set(xlabel=names[0], title=title, ylabel=names[1])
    return axes.figure


def tile(images, image_shape, columns):
    """Images side by side, with a pixel of white between them, in one array.

    Parameters
    ----------
    images : array (n, features)
        In reading order.
    image_shape : tuple of int
        (rows, columns) of an image.
    columns : int
        Images in a row of the picture.

    Returns
    -------
    array
        The picture; NaN where there is no image.
    """
    (height, width), rows = image_shape, -(-len(images) // columns)
    tiles = np.full((rows * columns, height + 1, width + 1), np.nan)
    tiles[: len(images), :height, :width] = np.reshape(images, (-1, height, width))
    return tiles.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2).reshape(rows * (height + 1), -1)[:-1, :-1]


def limits(images):
    """What is drawn white and what is drawn black.

    Parameters
    ----------
    images : array
        NaN counts for nothing.

    Returns
    -------
    tuple of float
        (0, 1) for pixels in [0, 1], noise about them included; else the least and the largest value.
    """
    values = np.asarray(images)[np.isfinite(images)]
    if not values.size or np.all(np.abs(np.quantile(values, (0.1, 0.9)) - 0.5) <= 1):
        return 0.0, 1.0
    return float(values.min()), float(values.max())


def show(axes, picture, ends=(0, 1)):
    """Draw a picture, without the axes' frame.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    picture : array (rows, columns)
    ends : tuple of float
        What is drawn white and what is drawn black.
    """
    axes.imshow(picture, cmap="gray_r", vmin=ends[0], vmax=ends[1], interpolation="nearest")
    axes.set_axis_off()
