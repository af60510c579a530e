"""Pictures: each function takes plain data and returns a matplotlib Figure, which `save` writes.

With `axes`, a function draws into those axes instead of a figure of its own. An estimator has the
same colour in every picture. The only file that imports matplotlib; it opens no window.
"""

import io
import os

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from tinyvae import estimators
from tinyvae.machine.files import write

# Okabe & Ito, Color Universal Design (2008), yellow left out: it is too pale for a line on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", ":", "-.")
BLACK, GREY = "#000000", "#666666"
# For estimators that are not built in: black and the dark ones of Tol's "muted" scheme (2021), none of them in PALETTE.
OWN = (BLACK, "#882255", "#999933", "#332288")
MARKERS = ("s", "^", "D", "v", "P")  # the built-in ones have a circle
_met = []
# Ten classes: no ten colours are told apart by everyone, so each point is drawn as its digit, too.
CLASSES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933", "#5D3A9B")
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def style(name):
    """{"color", "linestyle"} of an estimator, the same in every figure; those that are not built in, in the order they come."""
    known, palette = (estimators.names(), PALETTE) if name in estimators.names() else (_own(name), OWN)
    n = known.index(name)
    return {"color": palette[n % len(palette)], "linestyle": DASHES[n // len(palette) % len(DASHES)]}


def marker(name):
    """An estimator's marker: a circle if it is built in."""
    return "o" if name in estimators.names() else MARKERS[_own(name).index(name) % len(MARKERS)]


def _own(name):
    """The names that are not built in, in the order in which this process met them, `name` among them."""
    if name not in _met:
        _met.append(name)
    return _met


def save(figure, path):
    """Write `figure` to `path`, whose suffix tells the format (png, pdf, svg); the same figure gives the same bytes.

    A kill at any instant leaves the old file or the new one. Raises ValueError for a suffix that matplotlib cannot write.
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

    steps: (T,); variances: {estimator: (T, 3)}, the total variance of the encoder's gradient, its lower and upper limit.
    """
    axes = axes or _axes(6, 4)
    for name, curve in variances.items():
        value, low, high = np.transpose(curve)
        axes.fill_between(steps, low, high, color=style(name)["color"], alpha=0.25, linewidth=0)
        axes.plot(steps, value, marker=marker(name), markersize=3, **style(name))
    axes.set(
        yscale="log",
        xlabel="training steps",
        ylabel="total over the weights (nats²)",
        title="Variance of the encoder's gradient, with 95% band",
    )
    _label(axes, {name: np.asarray(curve)[-1, 0] for name, curve in variances.items()})
    return axes.figure


def bounds(x, elbos, xlabel="training steps", axes=None):
    """The ELBO on held-out data, nats a data point, against steps or seconds: one line an estimator.

    x, elbos: {estimator: (T,)}; xlabel: what x is, with its unit.
    """
    axes = axes or _axes(6, 4)
    for name, elbo in elbos.items():
        axes.plot(x[name], elbo, **style(name))
    axes.set(xlabel=xlabel, ylabel="ELBO (nats a digit)", title="Bound on test digits (higher is better)")
    # The first steps gain tens of nats; what is compared are the last few.
    late = np.concatenate([np.asarray(elbo)[len(elbo) // 5 :] for elbo in elbos.values()])
    margin = 0.08 * np.ptp(late) + 0.01
    axes.set_ylim(late.min() - margin, late.max() + margin)
    _label(axes, {name: elbo[-1] for name, elbo in elbos.items()})
    return axes.figure


def training(epochs, train, validation, formula="-log p(x | z)"):
    """Reconstruction and KL, apart, against epochs: over-fitting and a collapsing KL show.

    epochs: (T,); train, validation: {"reconstruction": (T,), "kl": (T,)}, nats a data point; validation may be {};
    formula: what the reconstruction is, "cross-entropy" for grey pixels.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        for axes, (term, title) in zip(
            figure.subplots(1, 2), (("reconstruction", f"Reconstruction: {formula}"), ("kl", "KL(q(z | x) || p(z))"))
        ):
            curves = {"train": train[term]} | ({"validation": validation[term]} if validation else {})
            for name, color in (("train", PALETTE[0]), ("validation", PALETTE[1])):
                if name in curves:
                    axes.plot(epochs, curves[name], color=color, marker="o" if len(epochs) < 15 else None, markersize=3)
            axes.set(xlabel="epochs", ylabel="nats a data point", title=title)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            _label(
                axes,
                {name: curve[-1] for name, curve in curves.items()},
                {"train": PALETTE[0], "validation": PALETTE[1]},
            )
        return figure


def variances(blocks, prices=None):
    """Each estimator's total gradient variance in each block, log axis, with its 95% interval.

    blocks: {block: {estimator: (value, low, high)}}; prices: the same, of variance times milliseconds.
    """
    panels = [(title, totals, "total variance (nats²)") for title, totals in blocks.items()]
    panels += [(title, totals, "variance x time (nats² ms)") for title, totals in (prices or {}).items()]
    with rc_context(STYLE):
        names = list(panels[0][1])
        figure = Figure(figsize=(3 * len(panels) + 0.5, 0.9 + 0.4 * len(names)), layout="constrained")
        for axes, (title, totals, label) in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels):
            for y, name in enumerate(names):
                value, low, high = totals[name]
                axes.plot(
                    [low, high], [y, y], color=style(name)["color"], linewidth=6, alpha=0.35, solid_capstyle="butt"
                )
                axes.plot(value, y, marker(name), color=style(name)["color"], markersize=5)
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

    labels: (T,), the models' names; kl: (T,), nats a data point; variances, snrs: {estimator: (T, 3)}.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(13, 3.8), layout="constrained")
        figure.get_layout_engine().set(wspace=0.04)
        axes, x = figure.subplots(1, 3), np.arange(len(labels))
        panels = (
            (variances, "Variance of the encoder's gradient", "total over the weights (nats²)"),
            (snrs, "Signal-to-noise ratio", "||mean|| / std"),
        )
        for one, (curves, title, label) in zip(axes, panels):
            positive = [v for curve in curves.values() for v in np.ravel(curve) if 0 < v < np.inf]
            floor = min(positive, default=1.0) / 2
            for name, curve in curves.items():
                value, low, high = np.maximum(np.transpose(curve), floor)
                one.fill_between(x, low, high, color=style(name)["color"], alpha=0.25, linewidth=0)
                one.plot(x, value, marker=marker(name), markersize=3 if marker(name) == "o" else 5, **style(name))
            one.set(yscale="log", title=f"{title}, with 95% band", ylabel=label)
            _label(one, {name: max(curve[-1][0], floor) for name, curve in curves.items()})
        axes[2].plot(x, kl, color=BLACK, marker="o", markersize=3)
        axes[2].set(title="KL(q(z | x) || p(z)) of the batch", ylabel="nats a data point", ylim=(0, None))
        shown = x[:: max(1, len(x) // 8)]
        for one in axes:
            one.set_xticks(shown, [labels[i] for i in shown], rotation=30, ha="right")
        return figure


def decomposition(parts):
    """Whose variance it is: the minibatch's share and the latent noise's, a bar for each estimator and block.

    parts: {estimator: {block: {"share": (value, low, high)}}}.
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
    """A grid of images. images: (n, features) in [0, 1]; image_shape: (rows, columns)."""
    rows = -(-len(images) // columns)
    axes = axes or _axes(0.6 * columns, 0.6 * rows * image_shape[0] / image_shape[1] + 0.4)
    _show(axes, _tile(images, image_shape, columns))
    axes.set_title(title)
    return axes.figure


def reconstructions(originals, models, image_shape, axes=None):
    """A row of originals, and below it a row of reconstructions for each estimator.

    originals: (n, features) in [0, 1]; models: {estimator: (n, features)}; image_shape: (rows, columns).
    """
    n = len(originals)
    axes = axes or _axes(0.6 * n + 1.5, 0.7 * (len(models) + 1) * image_shape[0] / image_shape[1])
    _show(axes, _tile(np.concatenate([originals, *models.values()]), image_shape, columns=n))
    height = image_shape[0] + 1
    for row, name in enumerate(("original", *models)):
        color = style(name)["color"] if row else BLACK
        axes.text(-1, 0.5 + height * (row + 0.5), _readable(name), ha="right", va="center", color=color)
    axes.set_title("Test images and their reconstructions")
    return axes.figure


def latents(mu, labels, title="Latent space, posterior means", axes=None):
    """The latent space: each data point at its posterior mean, drawn as its digit and coloured by it.

    mu: (n, K), K >= 1; labels: (n,) integers 0 to 9. Of more than two latents, the two whose means vary most are
    drawn; a single latent is drawn against the digit.
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

    curves: {"variance": arguments of `variance_along_training`, "step", "seconds", "elbo": {estimator: (T,)}};
    pictures: {"reconstructions", "samples", "latents"}: arguments of the functions of these names.
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


def _label(axes, ends, colors=None):
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
        color = colors[name] if colors else style(name)["color"]
        axes.text(1.02, height, _readable(name), transform=axes.transAxes, color=color, va="center")


def _tile(images, image_shape, columns):
    """Images (n, features) side by side, with a pixel of white between them, in one array."""
    (height, width), rows = image_shape, -(-len(images) // columns)
    tiles = np.full((rows * columns, height + 1, width + 1), np.nan)
    tiles[: len(images), :height, :width] = np.reshape(images, (-1, height, width))
    return tiles.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2).reshape(rows * (height + 1), -1)[:-1, :-1]


def _show(axes, picture):
    axes.imshow(picture, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
