"""Render lessons as pages that can be read without running them: `python lessons/render.py [NN ...]`, all if none.

Writes `pages/NN_name.md` with the prose, the code, what each cell prints, and each figure after the cell that saves it.
A lesson runs as in a notebook, where `__file__` is missing, in an empty folder of its own.
"""

import argparse
import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
WIDTH, COLOURS = 900, 128  # pixels of a figure, and its palette: all pages together stay small


def cells(text):
    """A lesson's cells.

    Parameters
    ----------
    text : str
        The file's.

    Returns
    -------
    list of (str, str)
        "prose" or "code", and its text: first the title, prose out of the docstring.
    """
    head, *rest = re.split(r"^# %%", text, flags=re.MULTILINE)
    title, _, more = head.strip().strip('"').strip().partition("\n")
    found = [("prose", f"# {title}\n\n{more.strip()}")]
    for cell in rest:
        kind, _, body = cell.partition("\n")
        if kind.strip() == "[markdown]":
            found.append(("prose", re.sub(r"^# ?", "", body, flags=re.MULTILINE).strip()))
        else:
            found.append(("code", body.strip()))
    return found


def page(name, text, results=None):
    """A lesson as Markdown.

    Parameters
    ----------
    name : str
        The file's, without its folder.
    text : str
        The file's.
    results : list of (str, list of str), optional
        What each code cell printed, and the figures that it saved. Without it: the page without them.

    Returns
    -------
    str
        The page.
    """
    (_, title), *rest = cells(text)
    source = f"*This page is what [{name}](../{name}) says, prints and draws: `tinyvae lessons {name[:2]}` runs it.*"
    blocks, results = [title, source], iter(results or [])
    for kind, body in rest:
        blocks.append(body if kind == "prose" else f"```python\n{body}\n```")
        if kind == "code":
            printed, figures = next(results, ("", []))
            if printed.strip():
                blocks.append(f"```text\n{printed.rstrip()}\n```")
            blocks += [f"![{Path(figure).stem[3:].replace('_', ' ')}]({figure})" for figure in figures]
    return "\n\n".join(blocks) + "\n"


def run(text, path):
    """Run a lesson in the current folder, cell by cell.

    Parameters
    ----------
    text : str
        The lesson's.
    path : str
        What it is called where it fails.

    Returns
    -------
    list of (str, list of str)
        What each code cell printed, and the names of the figures that it saved.
    """
    names, results, seen = {"__name__": "__main__"}, [], set()
    for kind, body in cells(text):
        if kind == "code":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(body, path, "exec"), names)
            there = {file.name for file in Path("figures").glob("*.png")}
            in_order = sorted(there - seen, key=lambda name: body.find(name) % (len(body) + 1))  # -1: last
            results.append((printed.getvalue(), in_order))
            seen |= there
    return results


def shrink(source, target):
    """Write a figure as a small PNG.

    Parameters
    ----------
    source, target : path
        The figure, and where it goes.
    """
    from PIL import Image

    with Image.open(source) as image:
        image = image.convert("RGB")
        if image.width > WIDTH:
            image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
        image.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


def render(lesson):
    """Run a lesson here, and write its page.

    Parameters
    ----------
    lesson : path
        The file.
    """
    lesson = lesson.resolve()
    pages, os.environ["MPLBACKEND"] = lesson.parent / "pages", "Agg"
    text = lesson.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        results = run(text, str(lesson))
        pages.mkdir(exist_ok=True)
        for old in pages.glob(f"{lesson.name[:2]}_*"):
            old.unlink()
        for figure in [figure for _, figures in results for figure in figures]:
            shrink(Path("figures", figure), pages / figure)
        (pages / f"{lesson.stem}.md").write_text(page(lesson.name, text, results), encoding="utf-8")
        os.chdir(pages)
    print(f"{lesson.stem}: {sum(len(figures) for _, figures in results)} figures")


def main():
    """Render the lessons named, each in a process of its own.

    Returns
    -------
    int
        The exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("numbers", nargs="*", metavar="NN", help="lessons; all if none is given")
    numbers = parser.parse_args().numbers
    lessons = [path for path in sorted(HERE.glob("[0-9][0-9]_*.py")) if not numbers or path.name[:2] in numbers]
    if missing := sorted(set(numbers) - {path.name[:2] for path in lessons}):
        parser.error(f"there is no lesson {', '.join(missing)}")
    if len(lessons) == 1:
        sys.path.insert(0, str(HERE.resolve().parent))  # the tinyvae beside the lessons
        render(lessons[0])
        return 0
    runs = [subprocess.run([sys.executable, __file__, lesson.name[:2]]) for lesson in lessons]
    return max(run.returncode != 0 for run in runs)


if __name__ == "__main__":
    raise SystemExit(main())
