"""How a model's latents share its KL and how many importance samples count; how evenly a codebook is used."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tinyvae.plots.canvas import STYLE
from tinyvae.plots.looks import PALETTE

__all__ = ["evaluation", "codes"]

BINS = 30


def evaluation(kl, effective, n_samples):
    """Each latent's KL, the largest first, and the effective sample sizes of the data points, log axis.

    Parameters
    ----------
    kl : array (K,)
        Nats, means over the data.
    effective : array (n,)
        Effective samples of each data point.
    n_samples : int
        Of how many.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.bar(np.arange(1, len(kl) + 1), np.sort(kl)[::-1], color=PALETTE[0])
        left.set(
            xlabel="latents, by their KL",
            ylabel="nats a data point",
            title=f"A code costs {np.sum(kl):.2f} nats, latent by latent",
        )
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        right.yaxis.set_major_locator(MaxNLocator(integer=True))
        right.hist(effective, np.geomspace(1, max(n_samples, 2), BINS), color=PALETTE[1])
        right.set(xscale="log", xlabel=f"effective samples, of {n_samples:,}", ylabel="data points")
        right.set_title(f"Samples that count: {np.median(effective):,.0f} at the median point")
        return figure


def codes(use, perplexities):
    """How often each code of a codebook is used, the most used first, and the perplexity of each position.

    Parameters
    ----------
    use : array (n_codes,)
        How often.
    perplexities : array (n_positions,)
        Of each position by itself, from 1 to n_codes.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.bar(np.arange(1, len(use) + 1), np.sort(use / np.sum(use))[::-1], color=PALETTE[0])
        left.axhline(1 / len(use), color="0.4", linewidth=1)
        left.set(xlabel="codes, by their use", ylabel="share", title=f"{np.sum(use > 0)} of {len(use)} codes in use")
        right.bar(np.arange(1, len(perplexities) + 1), perplexities, color=PALETTE[1])
        right.set(xlabel="positions", ylabel="perplexity", ylim=(0, len(use)), title="Of each position by itself")
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return figure
