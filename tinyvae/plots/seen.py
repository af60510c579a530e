"""Learning curves against the training samples seen: a panel a model."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from tinyvae.plots.canvas import STYLE, label_ends
from tinyvae.plots.looks import PALETTE

__all__ = ["samples_seen"]

LOOKS = (
    {"color": PALETTE[0], "linestyle": "-"},
    {"color": PALETTE[1], "linestyle": "--"},
    {"color": PALETTE[2], "linestyle": ":"},
)


def samples_seen(groups, ylabel="bound (nats an image)"):
    """Bounds against training samples seen, on a log axis: a row of panels a dataset, a panel a model.

    The panels of a row share their heights, which leave out what the first third of the points is below the others.

    Parameters
    ----------
    groups : dict
        {dataset: {model: {curve: (samples, values)}}}, at most three curves, the same in each.
    ylabel : str
        What the values are, with their unit.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with rc_context(STYLE):
        widest = max(map(len, groups.values()))
        figure = Figure(figsize=(2.1 * widest + 0.9, 2.5 * len(groups) + 0.3), layout="constrained")
        parts = figure.subfigures(len(groups), 1, squeeze=False)[:, 0]
        for part, (dataset, models) in zip(parts, groups.items()):
            panels = part.subplots(1, widest, sharex=True, sharey=True, squeeze=False)[0]
            late = [np.asarray(y)[len(y) // 3 :] for curves in models.values() for _, y in curves.values()]
            low, high = np.min([y.min() for y in late]), np.max([y.max() for y in late])
            margin = 0.06 * (high - low) + 1e-9
            for axes, (model, curves) in zip(panels, models.items()):
                for look, (x, y) in zip(LOOKS, curves.values()):
                    axes.plot(x, y, marker="o", markersize=2, linewidth=1.2, **look)
                axes.set(xscale="log", title=model, ylim=(low - margin, high + margin), xlabel="samples seen")
                axes.xaxis.set_minor_formatter(NullFormatter())
                axes.grid(color="#dddddd", linewidth=0.6)
            ends = {name: np.clip(y[-1], low, high) for name, (_, y) in curves.items()}
            label_ends(axes, ends, {name: look["color"] for name, look in zip(curves, LOOKS)})
            for axes in panels[len(models) :]:
                axes.set_axis_off()
            panels[0].set_ylabel(ylabel)
            part.suptitle(dataset, x=0.01, ha="left", fontsize=10, fontweight="bold")
        return figure
