"""The main job's figure."""

from matplotlib import rc_context
from matplotlib.figure import Figure

from tinyvae.plots.canvas import STYLE
from tinyvae.plots.curves import bounds, variance_along_training
from tinyvae.plots.images import latents, reconstructions, samples

__all__ = ["compare"]


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
