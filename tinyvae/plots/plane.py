"""The plane of rate and distortion, and what a family of models over beta does on it."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from tinyvae.plots.canvas import STYLE
from tinyvae.plots.looks import BLACK, PALETTE

__all__ = ["rates", "plane", "planes"]

GREY = "#777777"


def rates(betas, held_out, train, entropy=(None, None), without_code=None):
    """A family over beta: its curve on the plane of rate and distortion, and what its rate is made of.

    Parameters
    ----------
    betas : sequence (T,)
        Ascending.
    held_out : dict
        {"rate", "distortion", "information", "aggregate_kl": (T, 3)}, nats: value, lower and upper limit; "most":
        float, of the information that so many data points can show.
    train, entropy, without_code
        Those of `plane`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(12, 5), layout="constrained")
        figure.get_layout_engine().set(wspace=0.06)
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        plane(betas, held_out, train, entropy, without_code, axes=left)
        named = {
            "rate": ("R, the rate", BLACK, "o", "-"),
            "information": ("I, the mutual information", PALETTE[0], "s", "-"),
            "aggregate_kl": ("KL(q(z) || p(z))", PALETTE[1], "^", "-"),
        }
        for name, (label, color, mark, line) in named.items():
            value, low, high = np.transpose(held_out[name])
            right.errorbar(betas, value, [value - low, high - value], color=color, marker=mark, markersize=5,
                           linestyle=line, linewidth=1.2, label=label)  # fmt: skip
        right.axhline(held_out["most"], color=GREY, linewidth=0.8, linestyle=":")
        right.annotate("the most that I can be on so few data", (1, held_out["most"]), (0, -3),
                       xycoords=("axes fraction", "data"), textcoords="offset points", ha="right", va="top",
                       color=GREY, fontsize=8)  # fmt: skip
        right.set(xscale="log", xlabel="beta", ylabel="nats a data point", title="R = I + KL(q(z) || p(z)), held-out")
        right.set_xticks(betas, [f"{beta:g}" for beta in betas], minor=False)
        right.minorticks_off()
        right.legend(frameon=False)
        return figure


def plane(betas, held_out, train=None, entropy=(None, None), without_code=None, title=None, axes=None):
    """The rate-distortion plane: a point a model, the region that no model reaches, lines of equal ELBO.

    Below D + R = H there is no model. Of H, an interval is known: below its lower end no model can be, above its upper
    end nothing forbids one. A dashed line of slope -1 holds models of one ELBO, here that of the best.

    Parameters
    ----------
    betas : sequence (T,)
        Ascending.
    held_out : dict
        {"rate", "distortion": (T, 3)}, nats a data point: value, lower and upper limit.
    train : dict, optional
        The same of the training data.
    entropy : tuple of two float or None
        Limits of H, low and high; None for one that is not known.
    without_code : float, optional
        The distortion of the best decoder that knows no code.
    title : str, optional
        Another than the usual one.
    axes : matplotlib.axes.Axes, optional
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if axes is None:
        with rc_context(STYLE):
            axes = Figure(figsize=(6.8, 5), layout="constrained").add_subplot()
    r, d = np.asarray(held_out["rate"]), np.asarray(held_out["distortion"])
    known = [one for one in (entropy[1], without_code) if one is not None]
    edge = 1.1 * max(r[:, 2].max(), *(known[:1] or [0]))
    top = max([d[:, 2].max(), *known])
    bottom = 0 if d.min() >= 0 and (entropy[0] is not None) else d[:, 1].min() - 0.1 * np.ptp(d)
    span = top - bottom
    x = np.linspace(0, edge, 400)
    low, high = entropy
    if low is not None:
        axes.fill_between(x, bottom, np.maximum(low - x, bottom), color="#bbbbbb", linewidth=0)
        words = "no model:\nD + R < H" + (f" = {low:.1f}" if low == high else "")
        if low > 0.15 * (bottom + span):
            axes.text(0.02 * edge, bottom + 0.03 * span, words, fontsize=8)
    if high is not None and high != low:
        floor = np.maximum((low if low is not None else -np.inf) - x, bottom)
        axes.fill_between(x, floor, np.maximum(high - x, floor), color="#e6e6e6", linewidth=0)
    if high is not None:
        words = f"D + R = {high:.1f}: H is at most this" if high != low else ""
        _line(axes, high, edge, bottom, GREY, "-", words, 0.62)
    total = float((r[:, 0] + d[:, 0]).min())
    end = min(edge, total - bottom)
    best = f"ELBO = {-total:.1f}, the best"
    axes.plot([0, end], [total, total - end], color=PALETTE[1], linewidth=1, linestyle="--", label=best)
    if without_code is not None:
        axes.axhline(without_code, color=GREY, linewidth=0.8, linestyle=":")
        axes.annotate(f"the best decoder without a code: {without_code:.1f}", (edge, without_code), (0, 3),
                      textcoords="offset points", ha="right", va="bottom", color=GREY, fontsize=8)  # fmt: skip
    if train is not None:
        (tr, _, _), (td, _, _) = (np.transpose(train[name]) for name in ("rate", "distortion"))
        axes.plot(tr, td, color=PALETTE[0], marker="o", markerfacecolor="white", markersize=4, linewidth=0.8,
                  linestyle="-", alpha=0.7, label="training data")  # fmt: skip
    errors = [np.abs(one[:, 1:] - one[:, :1]).T for one in (r, d)]
    label = "held-out data, with 95% intervals" if train is not None else "with 95% intervals"
    axes.errorbar(r[:, 0], d[:, 0], errors[1], errors[0], color=BLACK, marker="o", markersize=4, linewidth=1.2,
                  elinewidth=0.9, label=label)  # fmt: skip
    _name_points(axes, betas, r[:, 0], d[:, 0], edge, span)
    least, most = bottom - 0.02 * span, top + 0.08 * span
    axes.set(xlim=(-0.02 * edge, edge), ylim=(least, most))
    axes.set(xlabel="R, the rate: KL(q(z | x) || p(z)) (nats)", ylabel="D, the distortion: -log p(x | z) (nats)")
    axes.set(title=title or "One point a model: what does a nat of rate buy?")
    clear, line = 0.93, 0 if without_code is None else (without_code - least) / (most - least)
    if line > 0.75:  # below the line without a code, and its name
        clear = min(clear, line - 0.01)
    axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, clear))
    return axes.figure


def planes(panels):
    """Several planes side by side.

    Parameters
    ----------
    panels : dict
        {title: arguments of `plane`}.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4 * len(panels), 4.8), layout="constrained")
        for axes, (title, arguments) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items()):
            plane(**arguments, title=title, axes=axes)
        return figure


def _line(axes, total, edge, bottom, color, style, words, place):
    """D + R = total, named below the line at a share of its length."""
    end = min(edge, total - bottom)
    axes.plot([0, end], [total, total - end], color=color, linewidth=1, linestyle=style)
    side = {"xytext": (-3, -3), "ha": "right", "va": "top"}
    axes.annotate(
        words, (place * end, total - place * end), textcoords="offset points", color=color, fontsize=8, **side
    )


def _name_points(axes, betas, x, y, edge, span):
    """Write beta at its point; of points that lie together, all of them at the first."""
    groups = []
    for beta, one, other in zip(betas, x, y):
        if groups and abs(groups[-1][0] - one) / edge + abs(groups[-1][1] - other) / span < 0.05:
            groups[-1][2].append(beta)
        else:
            groups.append((one, other, [beta]))
    for one, other, members in groups:
        words = "beta " * (members[0] == betas[0]) + ", ".join(f"{beta:g}" for beta in members)
        axes.annotate(words, (one, other), (5, 4), textcoords="offset points", fontsize=8)
