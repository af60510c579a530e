"""Each lesson runs from anywhere, without a window, and writes the figures it promises; its page says what it says."""

import ast
import importlib.util
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
PAGES = LESSONS[0].parent / "pages"
RENDERED = [lesson for lesson in LESSONS if (PAGES / f"{lesson.stem}.md").is_file()]
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
QUICK = "05_two_gradients"  # runs in the short suite, too; the others take a quarter of a minute each, and one a minute
each_page = pytest.mark.parametrize("lesson", RENDERED, ids=lambda lesson: lesson.stem)


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


@pytest.mark.parametrize(
    "lesson",
    [
        pytest.param(lesson, id=lesson.stem, marks=[] if lesson.stem == QUICK else pytest.mark.slow)
        for lesson in LESSONS
    ],
)
def test_runs_from_another_folder(lesson, tmp_path):
    # A copy, so that figures from an earlier run cannot pass for this one's, and the checkout stays as it is.
    (tmp_path / "lessons").mkdir()
    (tmp_path / "elsewhere").mkdir()
    copy = shutil.copy(lesson, tmp_path / "lessons")
    printed = run([copy], tmp_path / "elsewhere")
    assert "Headline" in printed.splitlines()[-1]
    assert not list((tmp_path / "elsewhere").iterdir())
    check_figures(lesson, tmp_path / "lessons" / "figures")
    if lesson in RENDERED:
        assert headline(lesson, page(lesson)) == headline(lesson, printed), f"render it: {RENDER} {lesson.stem[:2]}"


def test_runs_without_a_file(tmp_path):
    """As in a notebook, where __file__ is missing: the same output, and figures beside the notebook."""
    lesson = LESSONS[0].with_stem(QUICK)
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


# --- pages ------------------------------------------------------------------------------------------------

RENDER = "python lessons/render.py"
OUTPUT, IMAGE = r"\n\n```text\n.*?\n```(?=\n)", r"\n\n!\[[^\]]*\]\(([^)]*)\)(?=\n)"


def page(lesson):
    return (PAGES / f"{lesson.stem}.md").read_text(encoding="utf-8")


def headline(lesson, text):
    """The last line that begins so; without its numbers in a lesson that measures times."""
    (*_, line) = (line for line in text.splitlines() if line.startswith("Headline"))
    return re.sub(r"\d+(?:\.\d+)?", "#", line) if lesson.stem == "18_fast" else line


def renderer():
    spec = importlib.util.spec_from_file_location("render", PAGES.parent / "render.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@each_page
def test_a_page_has_the_prose_and_the_code_of_its_lesson(lesson):
    text = re.sub(IMAGE, "", re.sub(OUTPUT, "", page(lesson), flags=re.DOTALL))
    expected = renderer().page(lesson.name, lesson.read_text(encoding="utf-8"))
    assert text.split("\n\n") == expected.split("\n\n"), f"render it: {RENDER} {lesson.stem[:2]}"


@each_page
def test_a_page_shows_each_figure_once(lesson):
    shown = re.findall(IMAGE, page(lesson))
    assert sorted(shown) == sorted(promised_figures(lesson)), f"render it: {RENDER} {lesson.stem[:2]}"


def test_the_pages_are_whole_and_small():
    if not PAGES.is_dir():
        pytest.skip("no page has been rendered")
    figures = {figure for lesson in RENDERED for figure in promised_figures(lesson)}
    assert {path.name for path in PAGES.iterdir()} == figures | {f"{lesson.stem}.md" for lesson in LESSONS}
    assert sum(path.stat().st_size for path in PAGES.glob("*.png")) < 3e6


def test_a_page_is_made_of_what_a_lesson_says_prints_and_draws(tmp_path, monkeypatch):
    text = (
        '"""A title\n\nQuestion: why?\n"""\n\n# %% [markdown]\n# ## Prose\n#\n#     z = 1\n\n# %%\n'
        'from pathlib import Path\n\nPath("figures").mkdir()\nPath("figures/00_one.png").touch()\n'
        'print("so: 1")\n\n# %%\n'
        'Path("figures/00_two.png").touch()\nPath("figures/00_a.png").touch()\n'
    )
    monkeypatch.chdir(tmp_path)
    render = renderer()
    results = render.run(text, "00_title.py")
    assert results == [("so: 1\n", ["00_one.png"]), ("", ["00_two.png", "00_a.png"])]
    made = render.page("00_title.py", text, results)
    assert made.startswith("# A title\n\nQuestion: why?\n\n*This page")
    assert "\n\n## Prose\n\n    z = 1\n\n```python\nfrom pathlib" in made
    assert "```\n\n```text\nso: 1\n```\n\n![one](00_one.png)\n\n```python\nPath(" in made
    assert made.endswith("```\n\n![two](00_two.png)\n\n![a](00_a.png)\n")
    assert re.sub(IMAGE, "", re.sub(OUTPUT, "", made, flags=re.DOTALL)) == render.page("00_title.py", text)
