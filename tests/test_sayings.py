"""What lecture notes say: each number in the table of lessons/README.md is computed anew."""

import importlib.util
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def functions():
    """(lesson, name, function) of all that tests/sayings/ holds."""
    for path in sorted((HERE / "sayings").glob("saying_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, function in vars(module).items():
            if name.startswith("saying_"):
                yield pytest.param(function, id=f"{path.stem}-{name}")


@pytest.mark.parametrize("saying", list(functions()))
def test_a_saying_s_number(saying):
    saying()


def rows():
    """The table's rows: as it is printed, what is right, the lesson, the number."""
    text = (HERE.parent / "lessons" / "README.md").read_text(encoding="utf-8")
    table = text.split("## What lecture notes say, and what is so")[1].split("## Glossary")[0]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\|.*$", table, re.MULTILINE)[2:]]


def test_each_row_has_its_lesson_and_a_test():
    lessons = {path.name[:2] for path in (HERE.parent / "lessons").glob("[0-9][0-9]_*.py")}
    tested = {path.stem[-2:] for path in (HERE / "sayings").glob("saying_*.py")}
    tested.add("07")  # its number takes trained models: the lesson asserts it
    found = rows()
    assert len(found) >= 20
    for printed, right, lesson, number in found:
        assert printed and right and re.search(r"\d", number), printed
        assert lesson in lessons and lesson in tested, printed
