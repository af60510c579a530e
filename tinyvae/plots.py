"""Pictures: each function takes plain data and returns a matplotlib Figure, which `save` writes.

With `axes`, a function draws into those axes instead of a figure of its own. An estimator has the
same colour in every picture. The only file that imports matplotlib; it opens no window.
"""

import colorsys
import io
import itertools
import os
import zlib

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, MaxNLocator

from tinyvae.machine.files import write

__all__ = [
    "style",
    "styles",
    "marker",
    "markers",
    "save",
    "variance_along_training",
    "bounds",
    "training",
    "variances",
    "along",
    "decomposition",
    "samples",
    "reconstructions",
    "latents",
    "compare",
    "PALETTE",
    "OWN",
]

# The built-in estimators' colours. The first six: Okabe & Ito, Color Universal Design (2008), yellow left out: it is
# too pale for a line on white. The others were chosen, of forty that are dark enough, for the largest least distance to
# each other and to the six (in OKLab, as everyone sees them and as the red- and green-blind do).
COLORS = {
    "reparameterization": "#0072B2",
    "score_function": "#D55E00",
    "leave_one_out": "#009E73",
    "constant_baseline": "#CC79A7",
    "moving_average": "#E69F00",
    "input_dependent": "#56B4E9",
    "optimal_constant": "#661100",
    "delta_method": "#6600BB",
    "relax": "#003355",
    "path_derivative": "#BB0055",
    "measure_valued": "#CC00CC",
    "dreg": "#335500",
    "vimco": "#8866FF",
}
PALETTE = tuple(COLORS.values())
SOLID = PALETTE[:6]
BLACK = "#000000"
# For estimators of a reader's own: none of these is in PALETTE, and none of the markers is the built-in ones' circle.
OWN = ("#332288", "#882255", "#FF3366", "#7A5C00", "#555577", "#990000", "#AA4499", "#999933")
MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">")
# Ten classes: no ten colours are told apart by everyone, so each point is drawn as its digit, too.
CLASSES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933", "#5D3A9B")
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def styles(names):
    """How to draw the lines of the estimators that share a figure: no two have one colour.

    A built-in estimator has its own colour, the same in every figure. One of a reader's own has a colour by its name;
    of several in a figure that would have the same, the first in alphabetical order keeps it, and the others take
    the next that is free.

    Parameters
    ----------
    names : iterable of str
        The estimators, in any order.

    Returns
    -------
    dict
        {name: {"color", "linestyle"}}, in the order of `names`.
    """
    names, looks = list(names), {}
    places = _places(names)
    for name in names:
        color = COLORS.get(name) or _own_color(places[name])
        dash = ("-" if color in SOLID else "--") if name in COLORS else "-." if places[name] < len(OWN) else ":"
        looks[name] = {"color": color, "linestyle": dash}
    return looks


def style(name):
    """How to draw an estimator's line where no other of a reader's own is in the figure.

    Parameters
    ----------
    name : str
        The estimator.

    Returns
    -------
    dict
        {"color", "linestyle"}, as from `styles`.
    """
    return styles([name])[name]


def markers(names):
    """The markers of the estimators that share a figure: a circle for each built-in one, others for a reader's own.

    Parameters
    ----------
    names : iterable of str
        The estimators, in any order.

    Returns
    -------
    dict
        {name: a marker as matplotlib takes it}, in the order of `names`; no two of a reader's own have the same.
    """
    names = list(names)
    places = _places(names)
    return {name: "o" if name in COLORS else _own_marker(places[name]) for name in names}


def marker(name):
    """An estimator's marker where no other of a reader's own is in the figure.

    Parameters
    ----------
    name : str
        The estimator.

    Returns
    -------
    str
        A circle, "o", if it is built in.
    """
    return markers([name])[name]


def _places(names):
    """{name: its place, from 0} of those names that have no colour of their own, whatever order they come in."""
    places = {}
    for name in sorted({*names} - COLORS.keys()):
        first, n = zlib.crc32(name.encode("utf-8", "surrogatepass")), len(OWN)
        free = [place for place in range(n) if place not in places.values()]
        places[name] = min(free, key=lambda place: (place - first) % n, default=len(places))
    return places


def _own_color(place):
    """The colour at a place: of OWN, and after these one more hue a place."""
    if place < len(OWN):
        return OWN[place]
    further, seen = [], {*PALETTE, *OWN, BLACK}
    for k in itertools.count():
        # The golden ratio leads to hues that lie far from those before; the lightness is that of a line on white.
        rgb = colorsys.hls_to_rgb(k * 0.618033988749895 % 1, 0.25 + 0.05 * (k % 4), 0.75)
        color = "#" + "".join(f"{round(255 * part):02X}" for part in rgb)
        if color not in seen:
            seen.add(color)
            further.append(color)
        if len(further) > place - len(OWN):
            return further[-1]


def _own_marker(place):
    """The marker at a place: of MARKERS, and after these stars, each with one ray more."""
    return MARKERS[place] if place < len(MARKERS) else (place - len(MARKERS) + 4, 1, 0)


def save(figure, path):
    """Write a figure; the same figure gives the same bytes.

    A kill at any instant leaves the old file or the new one.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or path
        The file; its suffix tells the format (png, pdf, svg).

    Raises
    ------
    ValueError
        For a suffix that matplotlib cannot write.
    """
    suffix = os.path.splitext(path)[1][1:].lower()
    undated = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
    data = io.BytesIO()
    with rc_context({"svg.hashsalt": "tinyvae"}):
        figure.savefig(data, format=suffix, dpi=120, metadata=undated.get(suffix))
    write(path, data.getvalue())


# --- curves -------------------------------------------------------------------------------------------


def variance_along_training(steps, variances, axes=None):
    """Each estimator's gradient variance against the steps trained, log axis, with the band of its 95% interval.

    Parameters
    ----------
    steps : sequence (T,)
        Training steps.
    variances : dict
        {estimator: (T, 3)}, nats²: the total variance of the encoder's gradient, its lower and upper limit.
    axes : matplotlib.axes.Axes
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    axes = axes or _axes(6, 4)
    looks, marks = styles(variances), markers(variances)
    for name, curve in variances.items():
        value, low, high = np.transpose(curve)
        axes.fill_between(steps, low, high, color=looks[name]["color"], alpha=0.25, linewidth=0)
        axes.plot(steps, value, marker=marks[name], markersize=3, **looks[name])
    axes.set(
        yscale="log",
        xlabel="training steps",
        ylabel="total over the weights (nats²)",
        title="Variance of the encoder's gradient, with 95% band",
    )
    _label(axes, {name: np.asarray(curve)[-1, 0] for name, curve in variances.items()}, _colors(looks))
    return axes.figure


def bounds(x, elbos, xlabel="training steps", axes=None):
    """The ELBO on held-out data against steps or seconds: one line an estimator.

    Parameters
    ----------
    x : dict
        {estimator: (T,)}, steps or seconds.
    elbos : dict
        {estimator: (T,)}, nats a data point.
    xlabel : str
        What x is, with its unit.
    axes : matplotlib.axes.Axes
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    axes, looks = axes or _axes(6, 4), styles(elbos)
    for name, elbo in elbos.items():
        axes.plot(x[name], elbo, **looks[name])
    axes.set(xlabel=xlabel, ylabel="ELBO (nats a digit)", title="Bound on test digits (higher is better)")
    # The first steps gain tens of nats; what is compared are the last few.
    late = np.concatenate([np.asarray(elbo)[len(elbo) // 5 :] for elbo in elbos.values()])
    margin = 0.08 * np.ptp(late) + 0.01
    axes.set_ylim(late.min() - margin, late.max() + margin)
    _label(axes, {name: elbo[-1] for name, elbo in elbos.items()}, _colors(looks))
    return axes.figure


def training(epochs, train, validation, formula="-log p(x | z)"):
    """Reconstruction and KL, apart, against epochs: over-fitting and a collapsing KL show.

    Parameters
    ----------
    epochs : sequence (T,)
        Their numbers. A single one is the only tick.
    train : dict
        {"reconstruction": (T,), "kl": (T,)}, nats a data point.
    validation : dict
        The same of held-out data, or {}.
    formula : str
        What the reconstruction is, "cross-entropy" for grey pixels.

    Returns
    -------
    matplotlib.figure.Figure
    """
    colors = {"train": PALETTE[0], "validation": PALETTE[1]}
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        for axes, (term, title) in zip(
            figure.subplots(1, 2), (("reconstruction", f"Reconstruction: {formula}"), ("kl", "KL(q(z | x) || p(z))"))
        ):
            curves = {"train": train[term]} | ({"validation": validation[term]} if validation else {})
            for name, curve in curves.items():
                marked = "o" if len(epochs) < 15 else None
                axes.plot(epochs, curve, color=colors[name], marker=marked, markersize=3)
            axes.set(xlabel="epochs", ylabel="nats a data point", title=title)
            axes.xaxis.set_major_locator(FixedLocator(epochs) if len(epochs) == 1 else MaxNLocator(integer=True))
            _label(axes, {name: curve[-1] for name, curve in curves.items()}, colors)
        return figure


def variances(blocks, prices=None):
    """Each estimator's total gradient variance in each block, log axis, with its 95% interval.

    Parameters
    ----------
    blocks : dict
        {block: {estimator: (value, low, high)}}, nats², a panel each, of the same estimators.
    prices : dict
        The same of variance times milliseconds, nats² ms, or None.

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = [(title, totals, "total variance (nats²)") for title, totals in blocks.items()]
    panels += [(title, totals, "variance x time (nats² ms)") for title, totals in (prices or {}).items()]
    with rc_context(STYLE):
        names = list(panels[0][1])
        colors, marks = _colors(styles(names)), markers(names)
        figure = Figure(figsize=(3 * len(panels) + 0.5, 0.9 + 0.4 * len(names)), layout="constrained")
        for axes, (title, totals, label) in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels):
            for y, name in enumerate(names):
                value, low, high = totals[name]
                axes.plot([low, high], [y, y], color=colors[name], linewidth=6, alpha=0.35, solid_capstyle="butt")
                axes.plot(value, y, marker=marks[name], linestyle="none", color=colors[name], markersize=5)
            axes.set(title=title, xlabel=label, ylim=(len(names) - 0.5, -0.5))
            limits = np.array(list(totals.values()))
            shown = limits[np.isfinite(limits) & (limits > 0)]
            if np.all(limits[:, 0] > 0) and len(shown):
                axes.set_xscale("log")
                axes.set_xlim(
                    10.0 ** np.floor(np.log10(shown.min() / 1.2)), 10.0 ** np.ceil(np.log10(shown.max() * 1.2))
                )
            axes.set_yticks(range(len(names)), [_readable(name) for name in names])
            axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        return figure


def along(labels, kl, variances, snrs):
    """A series of models: each estimator's variance and signal-to-noise ratio, log axes, with 95% bands, and the KL.

    Parameters
    ----------
    labels : sequence (T,)
        The models' names.
    kl : sequence (T,)
        Nats a data point.
    variances : dict
        {estimator: (T, 3)}, nats²: value, lower and upper limit.
    snrs : dict
        {estimator: (T, 3)}, without unit: value, lower and upper limit.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(13, 3.8), layout="constrained")
        figure.get_layout_engine().set(wspace=0.04)
        axes, x = figure.subplots(1, 3), np.arange(len(labels))
        looks, marks = styles([*variances, *snrs]), markers([*variances, *snrs])
        panels = (
            (variances, "Variance of the encoder's gradient", "total over the weights (nats²)"),
            (snrs, "Signal-to-noise ratio", "||mean|| / std"),
        )
        for one, (curves, title, label) in zip(axes, panels):
            positive = [v for curve in curves.values() for v in np.ravel(curve) if 0 < v < np.inf]
            floor = min(positive, default=1.0) / 2
            for name, curve in curves.items():
                value, low, high = np.maximum(np.transpose(curve), floor)
                one.fill_between(x, low, high, color=looks[name]["color"], alpha=0.25, linewidth=0)
                one.plot(x, value, marker=marks[name], markersize=3 if marks[name] == "o" else 5, **looks[name])
            one.set(yscale="log", title=f"{title}, with 95% band", ylabel=label)
            _label(one, {name: max(curve[-1][0], floor) for name, curve in curves.items()}, _colors(looks))
        axes[2].plot(x, kl, color=BLACK, marker="o", markersize=3)
        axes[2].set(title="KL(q(z | x) || p(z)) of the batch", ylabel="nats a data point", ylim=(0, None))
        shown = x[:: max(1, len(x) // 8)]
        for one in axes:
            one.set_xticks(shown, [labels[i] for i in shown], rotation=30, ha="right")
        return figure


def decomposition(parts):
    """Whose variance it is: the minibatch's share and the latent noise's, a bar for each estimator and block.

    Parameters
    ----------
    parts : dict
        {estimator: {block: {"share": (value, low, high)}}}, the minibatch's share.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with rc_context(STYLE):
        bars = [(name, block, d["share"]) for name, blocks in parts.items() for block, d in blocks.items()]
        figure = Figure(figsize=(7, 1.3 + 0.35 * len(bars)), layout="constrained")
        axes = figure.add_subplot()
        for y, (_, _, (value, low, high)) in enumerate(bars):
            share = float(np.clip(value, 0, 1))
            axes.barh(y, share, color=PALETTE[0], height=0.6)
            axes.barh(y, 1 - share, left=share, color=PALETTE[4], height=0.6)
            axes.plot([low, high], [y, y], color=BLACK, linewidth=1.5)
        axes.set_yticks(range(len(bars)), [f"{_readable(name)}, {block}" for name, block, _ in bars])
        axes.set(
            xlim=(0, 1),
            ylim=(len(bars) - 0.5, -0.5),
            xlabel="share of the gradient's variance; the line is the 95% interval",
        )
        figure.suptitle("From the minibatch (blue) and from the latent noise (orange)", x=0.01, ha="left", fontsize=10)
        return figure


# --- images -------------------------------------------------------------------------------------------


def samples(images, image_shape, title="Samples from the prior", columns=10, axes=None):
    """A grid of images.

    Parameters
    ----------
    images : array (n, features)
        In [0, 1].
    image_shape : tuple
        (rows, columns); rows * columns = features.
    title : str
    columns : int
        Images in a row.
    axes : matplotlib.axes.Axes
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = -(-len(images) // columns)
    axes = axes or _axes(0.6 * columns, 0.6 * rows * image_shape[0] / image_shape[1] + 0.4)
    _show(axes, _tile(images, image_shape, columns))
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
    axes = axes or _axes(0.6 * n + 1.5, 0.7 * (len(models) + 1) * image_shape[0] / image_shape[1])
    _show(axes, _tile(np.concatenate([originals, *models.values()]), image_shape, columns=n))
    height, looks = image_shape[0] + 1, styles(models)
    for row, name in enumerate(("original", *models)):
        color = looks[name]["color"] if row else BLACK
        axes.text(-1, 0.5 + height * (row + 0.5), _readable(name), ha="right", va="center", color=color)
    axes.set_title("Test images and their reconstructions")
    return axes.figure


def latents(mu, labels, title="Latent space, posterior means", axes=None):
    """The latent space: each data point at its posterior mean, drawn as its digit and coloured by it.

    Of more than two latents, the two whose means vary most are drawn; a single latent is drawn against the digit.

    Parameters
    ----------
    mu : array (n, K)
        Posterior means, K >= 1.
    labels : array (n,)
        Integers 0 to 9.
    title : str
    axes : matplotlib.axes.Axes
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    mu, labels = np.asarray(mu), np.asarray(labels)
    axes = axes or _axes(5, 5)
    shown = np.sort(np.argsort(-mu.var(axis=0), kind="stable")[:2])
    first, second = mu[:, shown[0]], mu[:, shown[1]] if len(shown) > 1 else labels
    for digit in np.unique(labels):
        here, color = labels == digit, CLASSES[digit % len(CLASSES)]
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
    axes.set(
        xlabel=f"latent {shown[0] + 1} (posterior mean)",
        title=title,
        ylabel=f"latent {shown[1] + 1} (posterior mean)" if len(shown) > 1 else "digit",
    )
    return axes.figure


# --- the main job's figure ------------------------------------------------------------------------------


def compare(curves, pictures):
    """`tinyvae compare` in one figure: variance along training, the bound against steps and time, and what was learnt.

    Parameters
    ----------
    curves : dict
        {"variance": arguments of `variance_along_training`, "step", "seconds", "elbo": {estimator: (T,)}}, all of
        the same estimators.
    pictures : dict
        {"reconstructions", "samples", "latents"}: arguments of the functions of these names.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(13, 7), layout="constrained")
        figure.get_layout_engine().set(wspace=0.05)
        upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.1), hspace=0.05)
        top = upper.subplots(1, 3)
        bottom = lower.subplots(1, 3, width_ratios=(1.45, 1, 1))
        variance_along_training(**curves["variance"], axes=top[0])
        bounds(curves["step"], curves["elbo"], axes=top[1])
        bounds(curves["seconds"], curves["elbo"], xlabel="time in training steps (seconds)", axes=top[2])
        reconstructions(**pictures["reconstructions"], axes=bottom[0])
        samples(**pictures["samples"], axes=bottom[1])
        latents(**pictures["latents"], axes=bottom[2])
        return figure


# --- helpers --------------------------------------------------------------------------------------------


def _axes(width, height):
    with rc_context(STYLE):
        return Figure(figsize=(width, height), layout="constrained").add_subplot()


def _readable(name):
    return name.replace("_", " ")


def _colors(looks):
    return {name: look["color"] for name, look in looks.items()}


def _label(axes, ends, colors):
    """Write each line's name beside the axes at the height of its end, pushed apart where they would overlap."""
    axes.get_ylim()  # matplotlib settles the limits when asked for them
    to_axes = axes.transScale + axes.transLimits
    heights = {name: to_axes.transform((axes.get_xlim()[1], y))[1] for name, y in ends.items()}
    gap, order = 0.08, sorted(heights, key=heights.get)
    for lower, upper in zip(order, order[1:]):
        heights[upper] = max(heights[upper], heights[lower] + gap)
    ceiling = 1.0
    for name in reversed(order):
        ceiling = heights[name] = min(heights[name], ceiling)
        ceiling -= gap
    for name, height in heights.items():
        axes.text(1.02, height, _readable(name), transform=axes.transAxes, color=colors[name], va="center")


def _tile(images, image_shape, columns):
    """Images (n, features) side by side, with a pixel of white between them, in one array."""
    (height, width), rows = image_shape, -(-len(images) // columns)
    tiles = np.full((rows * columns, height + 1, width + 1), np.nan)
    tiles[: len(images), :height, :width] = np.reshape(images, (-1, height, width))
    return tiles.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2).reshape(rows * (height + 1), -1)[:-1, :-1]


def _show(axes, picture):
    axes.imshow(picture, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
