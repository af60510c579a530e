"""Curves and intervals: variances, bounds, training."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from tinyvae.plots.canvas import STYLE, colors_of, label_ends, new_axes, readable
from tinyvae.plots.looks import BLACK, PALETTE, markers, styles

__all__ = ["variance_along_training", "bounds", "training", "variances", "along", "decomposition"]


def variance_along_training(steps, variances, axes=None, biased=()):
    """Each estimator's gradient variance against the steps trained, log axis, with the band of its 95% interval.

    Parameters
    ----------
    steps : sequence (T,)
        Training steps.
    variances : dict
        {estimator: (T, 3)}, nats²: the total variance of the encoder's gradient, its lower and upper limit.
    axes : matplotlib.axes.Axes
        Where to draw; None makes a figure.
    biased : collection of str, optional
        The estimators that are: it is said beside their names, for a low variance is not all then.

    Returns
    -------
    matplotlib.figure.Figure
    """
    axes = axes or new_axes(6, 4)
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
    label_ends(axes, {name: np.asarray(curve)[-1, 0] for name, curve in variances.items()}, colors_of(looks), biased)
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
    axes, looks = axes or new_axes(6, 4), styles(elbos)
    for name, elbo in elbos.items():
        axes.plot(x[name], elbo, **looks[name])
    axes.set(xlabel=xlabel, ylabel="ELBO (nats a data point)", title="Bound on test data (higher is better)")
    # The first steps gain tens of nats; what is compared are the last few.
    late = np.concatenate([np.asarray(elbo)[len(elbo) // 5 :] for elbo in elbos.values()])
    margin = 0.08 * np.ptp(late) + 0.01
    axes.set_ylim(late.min() - margin, late.max() + margin)
    label_ends(axes, {name: elbo[-1] for name, elbo in elbos.items()}, colors_of(looks))
    return axes.figure


def training(epochs, train, validation, formula="-log p(x | z)"):
    """Reconstruction and KL, apart, against epochs: over-fitting and a collapsing KL show.

    Parameters
    ----------
    epochs : sequence (T,)
        Their numbers. A single one is the only tick.
    train : dict
        {"reconstruction": (T,), "kl": (T,)}, nats a data point; of a model without a KL the first alone.
    validation : dict
        The same of held-out data, or {}.
    formula : str
        What the reconstruction is, "cross-entropy" for grey pixels under a Bernoulli, "squared error".

    Returns
    -------
    matplotlib.figure.Figure
    """
    colors = {"train": PALETTE[0], "validation": PALETTE[1]}
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        titles = {"reconstruction": f"Reconstruction: {formula}", "kl": "KL(q(z | x) || p(z))"}
        for axes, term in zip(figure.subplots(1, len(train), squeeze=False)[0], train):
            curves = {"train": train[term]} | ({"validation": validation[term]} if validation else {})
            for name, curve in curves.items():
                marked = "o" if len(epochs) < 15 else None
                axes.plot(epochs, curve, color=colors[name], marker=marked, markersize=3)
            axes.set(xlabel="epochs", ylabel="nats a data point", title=titles[term])
            axes.xaxis.set_major_locator(FixedLocator(epochs) if len(epochs) == 1 else MaxNLocator(integer=True))
            label_ends(axes, {name: curve[-1] for name, curve in curves.items()}, colors)
        return figure


def variances(blocks, prices=None, biased=()):
    """Each estimator's total gradient variance in each block, log axis, with its 95% interval.

    Parameters
    ----------
    blocks : dict
        {block: {estimator: (value, low, high)}}, nats², a panel each, of the same estimators.
    prices : dict
        The same of variance times milliseconds, nats² ms, or None.
    biased : collection of str, optional
        The estimators that are: it is said beside their names.

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = [(title, totals, "total variance (nats²)") for title, totals in blocks.items()]
    panels += [(title, totals, "variance x time (nats² ms)") for title, totals in (prices or {}).items()]
    with rc_context(STYLE):
        names = list(panels[0][1])
        colors, marks = colors_of(styles(names)), markers(names)
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
            axes.set_yticks(range(len(names)), [readable(name, biased) for name in names])
            axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        return figure


def along(labels, kl, variances, snrs):
    """A series of models: each estimator's variance and signal-to-noise ratio, log axes, with 95% bands, and the KL.

    A value of 0, a signal that was not found, has no place on a log axis: it is left out, its line broken, and the
    panel says so. Its band starts at the lower edge.

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
                value, low, high = np.transpose(curve)
                value, low, high = np.where(value == 0, np.nan, value), np.maximum(low, floor), np.maximum(high, floor)
                one.fill_between(x, low, high, color=looks[name]["color"], alpha=0.25, linewidth=0)
                one.plot(x, value, marker=marks[name], markersize=3 if marks[name] == "o" else 5, **looks[name])
            one.set(yscale="log", title=f"{title}, with 95% band", ylabel=label)
            if any(value == 0 for curve in curves.values() for value, _, _ in curve):
                one.set(ylim=(floor, None), xlabel="left out where it is 0")
            label_ends(one, {name: max(curve[-1][0], floor) for name, curve in curves.items()}, colors_of(looks))
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
        axes.set_yticks(range(len(bars)), [f"{readable(name)}, {block}" for name, block, _ in bars])
        axes.set(
            xlim=(0, 1),
            ylim=(len(bars) - 0.5, -0.5),
            xlabel="share of the gradient's variance; the line is the 95% interval",
        )
        figure.suptitle("From the minibatch (blue) and from the latent noise (orange)", x=0.01, ha="left", fontsize=10)
        return figure
