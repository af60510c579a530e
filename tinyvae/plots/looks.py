"""How an estimator looks, the same in every figure: its colour, its line, its marker. Nothing here needs matplotlib."""

import colorsys
import itertools
import zlib

__all__ = ["style", "styles", "marker", "markers", "COLORS", "PALETTE", "OWN", "MARKERS", "BLACK"]

# The built-in estimators' colours. The first six: Okabe & Ito, Color Universal Design (2008), yellow left out: it is
# too pale for a line on white. The others were chosen, of those that are dark enough, for the largest least
# distance to each other and to the six (in OKLab, as everyone sees them and as the red- and green-blind do).
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
    # Of discrete latents: the same, one after another, as far from all above as the others are from each other.
    "arm": "#FF5566",
    "disarm": "#0000FF",
    "rebar": "#116666",
    "muprop": "#AA77CC",
    "straight_through": "#554488",
    "gumbel_softmax": "#6699FF",
    "straight_through_gumbel_softmax": "#337788",
}
PALETTE = tuple(COLORS.values())
SOLID = PALETTE[:6]
BLACK = "#000000"
# For estimators of a reader's own: none of these is in PALETTE, and none of the markers is the built-in ones' circle.
OWN = ("#332288", "#882255", "#FF3366", "#7A5C00", "#555577", "#990000", "#AA4499", "#999933")
MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">")


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
