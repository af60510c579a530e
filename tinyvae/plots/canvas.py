"""What the pictures share: fonts, axes, names beside lines, and writing a figure to a file. It opens no window."""

import io
import os

from matplotlib import rc_context
from matplotlib.figure import Figure

from tinyvae.machine.files import write

__all__ = ["STYLE", "save", "new_axes", "readable", "colors_of", "label_ends"]

STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def save(figure, path, width=None):
    """Write a figure; the same figure gives the same bytes.

    A kill at any instant leaves the old file or the new one.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or path
        The file; its suffix tells the format (png, pdf, svg).
    width : int, optional
        Pixels that it may be wide, at most; None for 120 an inch.

    Raises
    ------
    ValueError
        For a suffix that matplotlib cannot write.
    """
    suffix = os.path.splitext(path)[1][1:].lower()
    undated = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
    data, dpi = io.BytesIO(), 120 if width is None else min(120, int(width / figure.get_figwidth()))
    with rc_context({"svg.hashsalt": "tinyvae"}):
        figure.savefig(data, format=suffix, dpi=dpi, metadata=undated.get(suffix))
    write(path, data.getvalue())


def new_axes(width, height):
    """The axes of a new figure.

    Parameters
    ----------
    width, height : float
        Inches.

    Returns
    -------
    matplotlib.axes.Axes
    """
    with rc_context(STYLE):
        return Figure(figsize=(width, height), layout="constrained").add_subplot()


def readable(name, biased=()):
    """An estimator's name as a figure shows it.

    Parameters
    ----------
    name : str
        With underscores.
    biased : collection of str, optional
        Names of those that are.

    Returns
    -------
    str
        With blanks, and with a word where it is one of the biased.
    """
    return name.replace("_", " ") + " (biased)" * (name in biased)


def colors_of(looks):
    """The colours alone.

    Parameters
    ----------
    looks : dict
        {name: {"color", "linestyle"}}, from `looks.styles`.

    Returns
    -------
    dict
        {name: color}.
    """
    return {name: look["color"] for name, look in looks.items()}


def label_ends(axes, ends, colors, biased=()):
    """Write each line's name beside the axes at the height of its end, pushed apart where they would overlap.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Drawn into.
    ends : dict
        {name: the line's last value}.
    colors : dict
        {name: color}.
    biased : collection of str, optional
        Names that `readable` marks.
    """
    axes.get_ylim()  # matplotlib settles the limits when asked for them
    to_axes = axes.transScale + axes.transLimits
    heights = {name: to_axes.transform((axes.get_xlim()[1], y))[1] for name, y in ends.items()}
    gap, order = min(0.08, 1 / max(1, len(ends) - 1)), sorted(heights, key=heights.get)
    for lower, upper in zip(order, order[1:]):
        heights[upper] = max(heights[upper], heights[lower] + gap)
    ceiling = 1.0
    for name in reversed(order):
        ceiling = heights[name] = min(heights[name], ceiling)
        ceiling -= gap
    for name, height in heights.items():
        axes.text(1.02, height, readable(name, biased), transform=axes.transAxes, color=colors[name], va="center")
