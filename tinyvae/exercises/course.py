"""The course as it lies on the disk: lessons, the stubs of their exercises, and the judges."""

import ast
import importlib
import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["Lesson", "folder", "lessons", "find", "stub", "tasks", "room", "judges"]

ROOM = f"{__package__}.lesson_{{}}"


class Lesson(NamedTuple):
    """A lesson, as its own text describes it.

    Attributes
    ----------
    number : str
        Of two digits.
    title, question : str
        From its docstring.
    minutes : str
        What its first cell says of the time it takes, "" if nothing.
    path : path
        The file.
    """

    number: str
    title: str
    question: str
    minutes: str
    path: Path


def folder():
    """Where the lessons lie: inside the installed package, or beside it in a checkout.

    Returns
    -------
    path
    """
    package = Path(__file__).parents[1]
    inside = package / "lessons"
    return inside if inside.is_dir() else package.parent / "lessons"


def lessons():
    """All lessons.

    Returns
    -------
    list of Lesson
        In their order.
    """
    return [_read(path) for path in _paths()]


def _paths():
    return sorted(folder().glob("[0-9][0-9]_*.py"))


def _read(path):
    text = path.read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(text)) or ""
    question = re.search(r"Question:\s*(.+?)(?:\n\s*\n|\Z)", said, re.DOTALL)
    cells = re.split(r"^# %%.*\n", text, maxsplit=2, flags=re.MULTILINE)
    first = cells[1].replace("\n#", " ") if len(cells) > 1 else ""
    minutes = re.search(r"about\s+(\d+)\s+min", first, re.IGNORECASE)
    asked = " ".join(question[1].split()) if question else ""
    return Lesson(
        path.name[:2], said.partition("\n")[0], asked[:1].upper() + asked[1:], minutes[1] if minutes else "", path
    )


def find(word):
    """The lesson that a word means.

    Parameters
    ----------
    word : str
        Its number (05 or 5), or its file's name.

    Returns
    -------
    Lesson

    Raises
    ------
    ValueError
        If there is none, naming those that there are.
    """
    stem = Path(word).name.removesuffix(".py")
    number = f"{stem:0>2}" if stem.isdecimal() else stem[:2]
    for path in _paths():
        if path.name[:2] == number and stem in (path.stem, path.name[:2], path.name[:2].lstrip("0") or "0"):
            return _read(path)
    raise ValueError(f"there is no lesson {word!r}; there are {', '.join(one.name[:2] for one in _paths()) or 'none'}")


def stub(lesson):
    """The file that holds a lesson's exercises.

    Parameters
    ----------
    lesson : Lesson
        The lesson.

    Returns
    -------
    path
        Of the functions that a reader is to write.

    Raises
    ------
    ValueError
        If the lesson has none.
    """
    path = lesson.path.parent / "exercises" / lesson.path.name
    if not path.is_file():
        having = [one.name[:2] for one in _paths() if (one.parent / "exercises" / one.name).is_file()]
        raise ValueError(f"lesson {lesson.number} has no exercises; those that have are {', '.join(having) or 'none'}")
    return path


def tasks(lesson):
    """What a lesson's exercises are.

    Parameters
    ----------
    lesson : Lesson
        One with exercises.

    Returns
    -------
    dict
        {name of the function: first line of its docstring}, in the stub's order.
    """
    tree = ast.parse(stub(lesson).read_text(encoding="utf-8"))
    return {
        node.name: (ast.get_docstring(node) or "").partition("\n")[0]
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


def room(lesson):
    """Where a lesson's judges are.

    Parameters
    ----------
    lesson : Lesson
        One with exercises.

    Returns
    -------
    str
        The module's name.
    """
    return ROOM.format(lesson.number)


def judges(room):
    """A room's judges.

    Parameters
    ----------
    room : str
        The module's name.

    Returns
    -------
    dict
        {name of the exercise: its judge, a function of the answer}.
    """
    module = importlib.import_module(room)
    return {name: getattr(module, name) for name in module.__all__}
