"""What an option may hold, and how the parser speaks: one line where something is wrong, every default in the help.

A value that cannot be right is refused here, before anything is loaded; what depends on more than one
value is refused by the functions that take them.
"""

import argparse
import math
import os

import numpy as np

from tinyvae import datasets, likelihoods

__all__ = ["Parser", "Help", "count", "number_above", "path", "data", "likelihood"]

TINY, HUGE = float(np.finfo("float32").tiny), float(np.finfo("float32").max)  # what most of the package computes in


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and shows every default.

    Parameters
    ----------
    **options
        Those of argparse.ArgumentParser.
    """

    def __init__(self, **options):
        super().__init__(formatter_class=Help, allow_abbrev=False, **options)

    def error(self, message):
        """One line on the standard error, and SystemExit with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


class Help(argparse.RawDescriptionHelpFormatter):
    """Appends the default to each option's help.

    Parameters
    ----------
    prog : str
        The program's name.
    """

    def __init__(self, prog):
        super().__init__(prog, max_help_position=34, width=110)

    def _get_help_string(self, action):
        if action.default in (None, argparse.SUPPRESS) or action.const is True or not action.option_strings:
            return action.help
        default = " ".join(map(str, action.default)) if isinstance(action.default, (list, tuple)) else action.default
        return f"{action.help} [{default}]"


def count(least, most=math.inf):
    """An argparse type: a whole number.

    Parameters
    ----------
    least, most : int
        The least and the largest that are let pass.

    Returns
    -------
    callable
        word -> int; argparse.ArgumentTypeError for what does not fit.
    """

    def parse(word):
        try:
            value = int(word)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            bounds = f"of at least {least}" + f" and at most {most}" * (value is not None and value > most)
            raise argparse.ArgumentTypeError(f"must be a whole number {bounds}, got {word!r}")
        return value

    return parse


def path(word):
    """An argparse type: the path of a file or a folder.

    Parameters
    ----------
    word : str
        As it was given.

    Returns
    -------
    str
        The same.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is empty, or none that a system takes.
    """
    if not word.strip() or "\0" in word:
        raise argparse.ArgumentTypeError(f"must be a path, got {word!r}")
    return word


def data(word):
    """An argparse type: the name of a dataset, or the path of a file or folder that is there.

    Parameters
    ----------
    word : str
        As it was given.

    Returns
    -------
    str
        The same.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is neither.
    """
    if word in datasets.names() or os.path.exists(path(word)):
        return word
    known = ", ".join(datasets.names())
    raise argparse.ArgumentTypeError(f"must be one of {known}, or a file or folder that is there, got {word!r}")


def number_above(least, itself=False, most=math.inf):
    """An argparse type: a number above a bound that float32 can hold.

    Parameters
    ----------
    least : float
        The bound.
    itself : bool
        Whether `least` itself is let pass.
    most : float
        The largest that is let pass.

    Returns
    -------
    callable
        word -> float; argparse.ArgumentTypeError for what does not fit.
    """

    def parse(word):
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < least or value > most or (value == least and not itself):
            bounds = f"{'of at least' if itself else 'above'} {least}" + f" and at most {most}" * (most < math.inf)
            raise argparse.ArgumentTypeError(f"must be a number {bounds}, got {word!r}")
        if value and not TINY <= abs(value) <= HUGE:
            kept = f"{TINY:.1e} to {HUGE:.1e}"
            raise argparse.ArgumentTypeError(f"must be a number that float32 can hold, {kept}, got {word!r}")
        return value

    return parse


def likelihood(word):
    """An argparse type: a likelihood's name, or NAME:option=value,... where it has options.

    Parameters
    ----------
    word : str
        As it was given.

    Returns
    -------
    str or dict
        As `likelihoods.config_of` gives it.

    Raises
    ------
    argparse.ArgumentTypeError
        For what names no likelihood, or options that it has not.
    """
    name, colon, rest = word.partition(":")
    options = {}
    for option in rest.split(",") if colon else ():
        key, equals, value = option.partition("=")
        if not (key and equals and value) or key == "name":
            raise argparse.ArgumentTypeError(f"must be NAME or NAME:option=value,option=value, got {word!r}")
        options[key] = _number_or_word(value)
    try:
        return likelihoods.config_of(likelihoods.resolve({**options, "name": name}))
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number_or_word(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
