"""The figures of published experiments."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from tinyvae.plots.canvas import STYLE
from tinyvae.plots.looks import BLACK, PALETTE, style, styles

__all__ = ["ratios", "likelihoods", "variance_panels", "estimators_along"]

TICKS = (0.1, 0.3, 1, 3, 10, 30, 100, 300)


def ratios(counts, panels, slopes, names):
    """Signal-to-noise ratios against the samples in a bound, with their intervals and the slopes of a theory.

    Parameters
    ----------
    counts : sequence (n,)
        Samples.
    panels : dict
        {title: {way: {"snr": (n,), "error": (n,) of its logarithm}}}.
    slopes : dict
        {way: the theory's slope on logarithmic scales}, drawn through the last point.
    names : dict
        {way: the estimator whose colour it has, or None for black}.

    Returns
    -------
    matplotlib.figure.Figure
    """
    counts = np.asarray(counts)
    with rc_context(STYLE):
        figure = Figure(figsize=(3.7 * len(panels), 3.8), layout="constrained")
        for axes, (title, ways) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items()):
            for way, found in ways.items():
                color = style(names[way])["color"] if names[way] else BLACK
                value, reach = np.asarray(found["snr"]), np.exp(1.96 * np.asarray(found["error"]))
                axes.fill_between(counts, value / reach, value * reach, color=color, alpha=0.25, linewidth=0)
                axes.plot(counts, value, "o-", color=color, markersize=3, label=way)
                theory = value[-1] * (counts / counts[-1]) ** slopes[way]
                axes.plot(counts, theory, ":", color=color, linewidth=1)
            axes.set(xscale="log", yscale="log", xlabel="K, samples in the bound", title=title)
            axes.set_xticks(counts, [str(K) for K in counts])
            axes.minorticks_off()
        first = figure.axes[0]
        first.set_ylabel("signal-to-noise ratio of one gradient")
        found = first.get_legend_handles_labels()
        title = "dotted: the slope of the limit"
        figure.legend(*found, loc="outside lower center", ncols=len(names), frameon=False, title=title)
        return figure


def likelihoods(curves, found, published, others):
    """Bounds along a training, on a logarithmic scale of epochs, and the likelihoods at its end.

    Parameters
    ----------
    curves : dict
        {model: {"epoch": (T,), "bound": (T,)}}, nats, lower is better.
    found : dict
        {model: log p(x) of each row (n,)}, nats.
    published : dict
        {model: -log p(x)}, drawn as a line; a model may lack one.
    others : dict
        {model: others' results}, drawn as crosses.

    Returns
    -------
    matplotlib.figure.Figure
    """
    colors = dict(zip(curves, PALETTE))
    with rc_context(STYLE):
        figure = Figure(figsize=(7.4, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        for name, curve in curves.items():
            left.plot(curve["epoch"], curve["bound"], "o-", color=colors[name], markersize=3, label=name)
        late = [value for curve in curves.values() for value in curve["bound"][len(curve["bound"]) // 4 :]]
        low, high = min(late), max(late)
        left.set(xscale="log", xlabel="epochs", ylabel="nats, lower is better", title="Own bound on validation rows")
        left.xaxis.set_major_formatter("{x:g}")
        left.set_ylim(low - 0.05 * (high - low), high + 0.15 * (high - low))
        left.legend(frameon=False, title="samples in the bound")
        for x, (name, values) in enumerate(found.items()):
            values = -np.asarray(values)
            reach = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
            right.errorbar(x, values.mean(), reach, fmt="o", color=colors[name], markersize=5, capsize=4)
            if name in published:
                right.hlines(published[name], x - 0.3, x + 0.3, color=BLACK, linewidth=1.2)
            for other in others.get(name, ()):
                right.plot(x, other, "x", color=BLACK, markersize=5)
        right.set(xlim=(-0.6, len(found) - 0.4), ylabel="nats", title="-log p(x), with 95% interval")
        right.set_xticks(range(len(found)), list(found))
        if published:
            right.plot([], [], "-", color=BLACK, linewidth=1.2, label="published (test rows)")
            right.plot([], [], "x", color=BLACK, markersize=5, label="others' reproductions")
            bottom, top = right.get_ylim()
            right.set_ylim(bottom, top + 0.25 * (top - bottom))
            right.legend(frameon=False, fontsize=8, loc="upper right")
        return figure


def variance_panels(panels, names):
    """Variances of estimators on a logarithmic scale, exact as lines, measured as dots with 95% intervals.

    Parameters
    ----------
    panels : sequence of tuple
        (title, what x is, (x (n,), {way: exact (n,)}), (x (m,), {way: (m, 3)})), five of them; the sixth place holds
        the legend.
    names : dict
        {way: the estimator whose colour it has}.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(7.4, 5), layout="constrained")
        *places, corner = figure.subplots(2, 3).ravel()
        for axes, (title, xlabel, (x, lines), (at, dots)) in zip(places, panels):
            for way, name in names.items():
                color = style(name)["color"]
                axes.plot(x, lines[way], color=color, linewidth=1.2, label=way.replace(", ", ",\n"))
                value, low, high = np.transpose(dots[way])
                axes.errorbar(at, value, (value - low, high - value), fmt="o", color=color, markersize=2, linewidth=0.8)
            axes.set(xscale="log", yscale="log", title=title, xlabel=xlabel)
            ticks = [tick for tick in TICKS if min(x) <= tick <= max(x)]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.tick_params(which="minor", labelbottom=False)
        for axes in (places[0], places[3]):
            axes.set_ylabel("variance, one sample")
        corner.axis("off")
        corner.legend(
            *places[0].get_legend_handles_labels(), frameon=False, loc="center", title="line exact, dot measured"
        )
        return figure


def estimators_along(models):
    """Bounds along trainings by several estimators, against steps and evaluations, and their variances.

    Parameters
    ----------
    models : dict
        {model, a row of panels: {estimator: (evaluations a step, [{"step", "bound", "variance"} of each run])}}. A line
        is the mean of the runs (of the variance's logarithms), a shade reaches from the least to the greatest.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(8.4, 2.7 * len(models) + 0.6), layout="constrained")
        for row, (model, estimators) in zip(figure.subplots(len(models), 3, squeeze=False), models.items()):
            looks, late = styles(estimators), []
            for name, (cost, runs) in estimators.items():
                step = np.array(runs[0]["step"])
                bound, logs = np.array([run["bound"] for run in runs]), np.log([run["variance"] for run in runs])
                late += bound[:, len(step) // 2 :].ravel().tolist()
                for axes, x in ((row[0], step), (row[1], step * cost)):
                    axes.fill_between(x, bound.min(0), bound.max(0), color=looks[name]["color"], alpha=0.2, linewidth=0)
                    axes.plot(x, bound.mean(0), **looks[name], label=name)
                low, middle, high = np.exp([logs.min(0), logs.mean(0), logs.max(0)])
                row[2].fill_between(step, low, high, color=looks[name]["color"], alpha=0.2, linewidth=0)
                row[2].plot(step, middle, **looks[name])
            for axes, xlabel in zip(row, ("steps", "evaluations, a data point", "steps")):
                axes.set(xscale="log", xlabel=xlabel)
                axes.tick_params(which="minor", labelbottom=False)
            low, high = np.quantile(late, (0, 0.9))
            for axes in row[:2]:
                axes.set(ylabel="nats, lower is better", title=f"{model}: -ELBO, held out")
                axes.set_ylim(low - 0.05 * (high - low), high + 0.4 * (high - low))
            row[2].set(yscale="log", title=f"{model}: variance, encoder")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
        return figure
