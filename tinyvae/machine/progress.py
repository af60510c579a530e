"""How far a long job is: a bar, where the standard error is a terminal."""

import sys

__all__ = ["on_terminal", "bar", "passing_bar"]

DELAY = 1  # seconds before a passing bar appears


def on_terminal():
    """Whether somebody watches the standard error, which may have been closed before Python started.

    Returns
    -------
    bool
    """
    return sys.stderr is not None and sys.stderr.isatty()


def bar(total, unit, **options):
    """A progress bar, which stays on the screen; without a terminal it counts and shows nothing.

    Parameters
    ----------
    total : int
        How many there are.
    unit : str
        Of what.
    **options
        Others of `tqdm.tqdm`.

    Returns
    -------
    tqdm.tqdm
        A context.
    """
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, disable=not on_terminal(), **options)


def passing_bar(total, unit):
    """A progress bar of what takes longer than a second, gone at the end.

    Parameters
    ----------
    total, unit
        As of `bar`.

    Returns
    -------
    tqdm.tqdm
        A context.
    """
    return bar(total, unit, unit_scale=True, delay=DELAY, leave=False)
