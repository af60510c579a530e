"""Each lesson runs from anywhere, without a window, and writes the figures it promises."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import tinyvae as tv

LESSONS = sorted((Path(__file__).parents[1] / "lessons").glob("[0-9][0-9]_*.py"))
SYSTEM = "contextlib", "os", "time"  # to set a number of threads, and to watch a step
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)


def run(arguments, folder, text=None):
    """Run Python in `folder` as a user without a display would, with the package under test."""
    env = {
        name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    }
    env |= {"PYTHONPATH": str(Path(tv.__file__).parents[1]), "PYTHONUTF8": "1"}
    # Matrices this small gain nothing from threads, which cost much where the cores are busy.
    env |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=env,
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


def promised_figures(lesson):
    return set(re.findall(r'FIGURES / "(.+?)"', lesson.read_text(encoding="utf-8")))


def check_figures(lesson, folder):
    """The folder holds the promised figures and nothing else, and each shows something."""
    assert {path.name for path in folder.iterdir()} == promised_figures(lesson) != set()
    for path in folder.iterdir():
        pixels = matplotlib.image.imread(path)[..., :3]  # rows, columns, RGB in [0, 1]
        assert min(pixels.shape[:2]) >= 300, path.name
        inked = (pixels < 0.95).any(axis=-1)
        assert inked.mean() > 0.01, f"{path.name} is all but blank"
        assert len(np.unique((pixels[inked] * 16).astype(int), axis=0)) > 10, f"{path.name} has hardly a colour"
        assert inked[5:-5].any(axis=1).mean() > 0.5 and inked[:, 5:-5].any(axis=0).mean() > 0.5, (
            f"{path.name} is half empty"
        )


def test_there_are_lessons():
    assert [lesson.stem[:2] for lesson in LESSONS] == sorted({lesson.stem[:2] for lesson in LESSONS}) != []


def test_the_readme_lists_them_in_order():
    readme = (LESSONS[0].parent / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[(.+?)\]\((.+?)\) \| .+\? ?.*\|$", readme, re.MULTILINE) == [
        (lesson.name,) * 2 for lesson in LESSONS
    ]


@each_lesson
def test_runs_from_another_folder(lesson, tmp_path):
    # A copy, so that figures from an earlier run cannot pass for this one's, and the checkout stays as it is.
    (tmp_path / "lessons").mkdir()
    (tmp_path / "elsewhere").mkdir()
    copy = shutil.copy(lesson, tmp_path / "lessons")
    printed = run([copy], tmp_path / "elsewhere")
    assert "Headline" in printed.splitlines()[-1]
    assert not list((tmp_path / "elsewhere").iterdir())
    check_figures(lesson, tmp_path / "lessons" / "figures")


def test_runs_without_a_file(tmp_path):
    """As in a notebook, where __file__ is missing: the same output, and figures beside the notebook."""
    lesson = LESSONS[0]
    printed = run(["-"], tmp_path, lesson.read_text(encoding="utf-8"))
    check_figures(lesson, tmp_path / "figures")
    assert printed == run([lesson.name], shutil.copytree(lesson.parent, tmp_path / "copy"))


@each_lesson
def test_is_made_of_cells(lesson):
    """A title, then cells that each stand by themselves: prose is all comment, code is code that parses."""
    title, *cells = re.split(r"^# %%", lesson.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert "Question:" in ast.get_docstring(ast.parse(title))
    assert cells[0].startswith(" [markdown]")
    for cell in cells:
        kind, body = cell.split("\n", 1)
        assert kind in ("", " [markdown]")
        assert bool(ast.parse(body).body) == (kind == ""), f"prose with code in it, or code without: {body[:80]}"
    assert "assert" in cells[-1] and "Headline" in cells[-1]


@each_lesson
def test_imports_only_the_public_api(lesson):
    tree = ast.parse(lesson.read_text(encoding="utf-8"))
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    # There they are the subject.
    inner = {"tinyvae.kernels", "tinyvae.machine", *SYSTEM} if lesson.stem == "18_fast" else set()
    assert modules <= {"pathlib", "numpy", "matplotlib.pyplot", "tinyvae"} | inner
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not {name for name in attributes if re.match("_[^_]", name)}
    assert "show" not in attributes  # plt.show() would wait for a window
