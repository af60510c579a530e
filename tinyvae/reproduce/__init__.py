"""Published experiments by name: each is run, and what it gives is set beside the published numbers.

An experiment is a file of this folder that shows

    TITLE, SOURCE      words: what it is, and the publication with its table or figure
    MINUTES            {recipe: about how many on two cores}
    RECIPES            {"short": Settings(...), "full": ..., "miniature": ...}, a frozen dataclass of its own; its field
                       `data`, if it has one, is the name of the dataset, or a tuple of names, that must be there
    parts(settings, seed) -> {name: function(checkpoint) -> dict of numbers, words, lists and dicts of them}
    rows(results) -> list of Row, from {part: its dict}
    figure(results) -> matplotlib figure, drawn by a function of `tinyvae.plots`, which is imported there

Each part is a computation of its own, decided by settings and seed alone; `checkpoint` is a path that it may hand to
`training.train` (or to `fit`, and raises KeyboardInterrupt where `history.interrupted`), so that it goes on after a
kill. The short recipe runs in less than an hour on two cores, the full one is the publication's, the miniature takes
seconds, needs no data that do not come with tinyvae, and is there for tests. A file that is put beside the others is
known by its name.
"""

import sys

from tinyvae import discover, validate
from tinyvae.reproduce.rows import Row
from tinyvae.reproduce.run import run

__all__ = ["Row", "EXPERIMENTS", "names", "find", "run"]

EXPERIMENTS = {name: room for name, room in discover.rooms(sys.modules[__name__]).items() if "RECIPES" in room.__all__}


def names():
    """The experiments' names.

    Returns
    -------
    list of str
        In alphabetical order.
    """
    return sorted(EXPERIMENTS)


def find(name):
    """The experiment of a name.

    Parameters
    ----------
    name : str
        One of `names()`.

    Returns
    -------
    module

    Raises
    ------
    ValueError
        For an unknown name.
    """
    return EXPERIMENTS[validate.choice("experiment", name, names())]
