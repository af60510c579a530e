"""A page of what was reproduced: a section an experiment, written by the command that ran it."""

import re

from tinyvae.reproduce.rows import HEADER, cells

__all__ = ["section", "replaced"]

START = """# Reproduced

Published numbers beside ours, from runs that were really made, on the machine and the day that stand there. Each
section and each figure was written by `tinyvae reproduce NAME --page`; the intervals are of 95%, of the measurement
alone: another seed trains another model.
"""


def section(name, experiment, recipe, seed, outcome, version):
    """The section of an experiment in Markdown.

    Parameters
    ----------
    name : str
        The experiment's.
    experiment : module
        One of `EXPERIMENTS`.
    recipe : str
        The name of its recipe.
    seed : int
        As it was run with.
    outcome : Outcome
        From `run`.
    version : str
        tinyvae's.

    Returns
    -------
    str
        Its figure is expected beside the page, as reproduced_NAME.png.
    """
    found, here = experiment.rows(outcome.results), outcome.machine
    options = f" --recipe {recipe}" * (recipe != "short") + f" --seed {seed}" * (seed != 0)
    table = [_line(HEADER), _line(["---", "---:", "---:", "---:", "---"]), *(_line(cells(row)) for row in found)]
    remarks = [f"- {row.quantity}: {row.remark}" for row in found if row.remark]
    seconds = sum(outcome.seconds.values())
    spent = f"{seconds:,.0f} seconds" if seconds < 600 else f"{seconds / 60:,.0f} minutes"
    made = (
        f"`tinyvae reproduce {name}{options}`: {spent} on {here['cpu']}, {here['workers']} of {here['cores']} cores, "
        f"{outcome.date}; tinyvae {version}, Python {here['python']}, NumPy {here['numpy']}."
    )
    picture = f"![{experiment.TITLE}](reproduced_{name}.png)"
    blocks = [f"## {experiment.TITLE}", f"{experiment.SOURCE}.", "\n".join(table), "\n".join(remarks), picture, made]
    return "\n\n".join(filter(None, blocks))


def replaced(page, name, text):
    """A page with an experiment's section in the place of its earlier one, or at its end.

    Parameters
    ----------
    page : str
        The page so far; empty for a new one.
    name : str
        The experiment's.
    text : str
        From `section`.

    Returns
    -------
    str
    """
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    block = f"{first}\n{text}\n{last}"
    before = re.compile(re.escape(first) + ".*?" + re.escape(last), re.DOTALL)
    if before.search(page):
        return before.sub(lambda _: block, page)
    return (page or START).rstrip("\n") + f"\n\n{block}\n"


def _line(words):
    return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"
