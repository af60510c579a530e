"""Densities of held-out images as intervals, beside images that the models draw."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from tinyvae.plots.canvas import STYLE
from tinyvae.plots.images import samples
from tinyvae.plots.looks import PALETTE

__all__ = ["densities_and_images"]


def densities_and_images(values, images, image_shape):
    """Mean log-densities with their intervals, and a row of images of each kind.

    Parameters
    ----------
    values : dict
        {model: (value, low, high)}, nats an image.
    images : dict
        {kind: array (n, features)}, as many of each, in [0, 1].
    image_shape : tuple
        (rows, columns); rows * columns = features.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
        for y, (value, low, high) in enumerate(values.values()):
            left.plot([low, high], [y, y], color=PALETTE[y], linewidth=6, alpha=0.35, solid_capstyle="butt")
            left.plot(value, y, marker="o", linestyle="none", color=PALETTE[y], markersize=5)
        left.set_yticks(range(len(values)), [model.replace(", ", ",\n") for model in values])
        left.set(
            ylim=(len(values) - 0.5, -0.5),
            xlabel="nats an image, with the 95% interval; the uniform density has 0",
            title="log p(x) of held-out images",
        )
        left.grid(axis="x", color="#dddddd", linewidth=0.6)
        kinds = [np.asarray(some) for some in images.values()]
        title = "Images drawn: z from the prior, decoded"
        samples(np.concatenate(kinds), image_shape, title, columns=len(kinds[0]), rows=list(images), axes=right)
        return figure
