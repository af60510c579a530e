"""The figures of published experiments."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from tinyvae.plots.canvas import STYLE
from tinyvae.plots.looks import BLACK, style

__all__ = ["ratios"]


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
        figure = Figure(figsize=(4.6 * len(panels), 3.8), layout="constrained")
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
        first, *_, last = figure.axes
        first.set_ylabel("signal-to-noise ratio of one gradient")
        last.legend(frameon=False, title="dotted: the limit's slope")
        return figure
