"""Bias and standard deviation against the temperature of a relaxed sample."""

import math

import numpy as np

from tinyvae.plots.canvas import colors_of, label_ends, new_axes
from tinyvae.plots.looks import markers, styles

__all__ = ["along_temperature"]


def along_temperature(temperatures, biases, stds, crossings=None, n_samples=1, axes=None):
    """Each estimator's bias (solid) and standard deviation (dashed) against the temperature, log axes, with 95% bands.

    A bias of 0, which was not found, has no place on a log axis: its line is broken there.

    Parameters
    ----------
    temperatures : sequence (T,)
        Rising.
    biases : dict
        {estimator: (T, 3)}, nats: value, lower and upper limit.
    stds : dict
        The same of the standard deviations of an estimate from one sample.
    crossings : dict
        {estimator: temperature} at which the two cross, marked on the bias's line; None for none. What is no
        temperature between the first and the last is not marked.
    n_samples : int
        Samples a data point: the standard deviations are shown over its root.
    axes : matplotlib.axes.Axes
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    axes, looks, marks = axes or new_axes(7.5, 4), styles(biases), markers(biases)
    temperatures = np.asarray(temperatures, "float64")
    curves = [(name, curve, 1.0, "-") for name, curve in biases.items()]
    curves += [(name, curve, 1 / math.sqrt(n_samples), "--") for name, curve in stds.items()]
    floor = 0.5 * min((part * v for _, curve, part, _ in curves for v in np.ravel(curve) if v > 0), default=1.0)
    for name, curve, part, dash in curves:
        value, low, high = part * np.transpose(curve)
        color = looks[name]["color"]
        axes.fill_between(temperatures, np.maximum(low, floor), np.maximum(high, floor), color=color, alpha=0.2, lw=0)
        axes.plot(temperatures, np.where(value > 0, value, np.nan), color=color, linestyle=dash)
    for name, temperature in (crossings or {}).items():
        if temperatures[0] <= temperature <= temperatures[-1]:
            value = np.maximum(np.transpose(biases[name])[0], floor)
            height = np.exp(np.interp(math.log(temperature), np.log(temperatures), np.log(value)))
            axes.plot(temperature, height, marker=marks[name], color=looks[name]["color"], linestyle="none")
    samples = "one sample" if n_samples == 1 else f"{n_samples} samples"
    axes.set(xscale="log", yscale="log", xlabel="temperature", ylabel="norm over q's parameters (nats)")
    axes.set(title=f"Bias (solid), std of {samples} (dashed), with 95% bands", ylim=(floor, None))
    axes.set_xlim(temperatures[0], temperatures[-1])
    label_ends(axes, {name: max(np.asarray(c)[-1, 0], floor) for name, c in biases.items()}, colors_of(looks))
    return axes.figure
