"""Each lesson runs from anywhere, without a window, and writes the figures it promises; its page says what it says."""

import ast
import functools
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
from tinyvae import reproduce

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


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """elsewhere(lesson): what a lesson printed that was run from another folder, and the folder that holds both.

    A copy, so that figures from an earlier run cannot pass for this one's, and the checkout stays as it is.
    """

    @functools.cache
    def once(lesson):
        folder = tmp_path_factory.mktemp(lesson.stem)
        (folder / "lessons").mkdir()
        (folder / "elsewhere").mkdir()
        copy = shutil.copy(lesson, folder / "lessons")
        return run([copy], folder / "elsewhere"), folder

    return once


@pytest.mark.parametrize(
    "lesson",
    [
        pytest.param(lesson, id=lesson.stem, marks=[] if lesson.stem == QUICK else pytest.mark.slow)
        for lesson in LESSONS
    ],
)
def test_runs_from_another_folder(lesson, elsewhere):
    printed, folder = elsewhere(lesson)
    assert "Headline" in printed.splitlines()[-1]
    assert not list((folder / "elsewhere").iterdir())
    check_figures(lesson, folder / "lessons" / "figures")
    if lesson in RENDERED:
        check_headline(lesson, printed)


def test_runs_without_a_file(tmp_path, elsewhere):
    """As in a notebook, where __file__ is missing: the same output, and figures beside the notebook."""
    lesson = LESSONS[0].with_stem(QUICK)
    printed = run(["-"], tmp_path, lesson.read_text(encoding="utf-8"))
    check_figures(lesson, tmp_path / "figures")
    assert printed == elsewhere(lesson)[0]


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
OUTPUT = re.compile(r"(?<=\n```)\n\n```text\n.*?\n```(?=\n)", re.DOTALL)  # it follows a cell's code


def page(lesson):
    return (PAGES / f"{lesson.stem}.md").read_text(encoding="utf-8")


NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def headline(text):
    """The words and the numbers of the last line that begins so."""
    (*_, line) = (line for line in text.splitlines() if line.startswith("Headline"))
    return NUMBER.sub("#", line), [float(number) for number in NUMBER.findall(line)]


def check_headline(lesson, printed):
    """Another processor rounds otherwise, and what was trained there ends a little elsewhere."""
    (words, numbers), (fresh_words, fresh) = headline(page(lesson)), headline(printed)
    assert words == fresh_words, f"render it: {RENDER} {lesson.stem[:2]}"
    if lesson.stem != "18_fast":  # whose numbers are times
        np.testing.assert_allclose(fresh, numbers, rtol=0.05, atol=0.02)


def page_without_outputs(lesson):
    """What the page of a lesson must say, but for what its cells print."""
    title, *cells = re.split(r"^# %%", lesson.read_text(encoding="utf-8"), flags=re.MULTILINE)
    source = f"[{lesson.name}](../{lesson.name}) says, prints and draws: `tinyvae lessons {lesson.stem[:2]}` runs it"
    blocks, n_figures = ["# " + title.strip().strip('"').strip(), f"*This page is what {source}.*"], 0
    for cell in cells:
        kind, _, body = cell.partition("\n")
        if kind:
            blocks.append(re.sub("^# ?", "", body.strip(), flags=re.MULTILINE))
            continue
        blocks.append(f"```python\n{body.strip()}\n```")
        for _ in re.findall('FIGURES / "', body):
            n_figures += 1
            blocks.append(f"![figure {n_figures}]({lesson.stem[:2]}_{n_figures}.png)")
    return "\n\n".join(blocks) + "\n"


def check_page(lesson, text):
    """Line by line, the prose, the code, and each figure once, where it is made."""
    assert OUTPUT.sub("", text).split("\n") == page_without_outputs(lesson).split("\n"), (
        f"render it: {RENDER} {lesson.stem[:2]}"
    )


@each_page
def test_a_page_has_the_prose_the_code_and_the_figures_of_its_lesson(lesson):
    check_page(lesson, page(lesson))


@each_lesson
def test_formulas_come_out_as_code(lesson):
    """An indented block is code in Markdown only after an empty line."""
    for cell in re.split(r"^# %%", lesson.read_text(encoding="utf-8"), flags=re.MULTILINE):
        lines = re.sub("^# ?", "", cell, flags=re.MULTILINE).split("\n") if cell.startswith(" [markdown]") else []
        for before, line in zip(lines, lines[1:]):
            assert not line.startswith("    ") or not before or before.startswith("    "), line


def test_the_pages_are_whole_and_small():
    if not PAGES.is_dir():
        pytest.skip("no page has been rendered")
    figures = {f"{lesson.stem[:2]}_{i}.png" for lesson in LESSONS for i in range(1, len(promised_figures(lesson)) + 1)}
    made = {path.name for path in PAGES.iterdir() if not path.name.startswith("reproduced")}
    assert made == figures | {f"{lesson.stem}.md" for lesson in LESSONS}
    assert max(matplotlib.image.imread(path).shape[1] for path in PAGES.glob("*.png")) <= 900
    assert sum(path.stat().st_size for path in PAGES.glob("*.png")) < 3e6


def test_what_was_reproduced_is_a_page_of_published_experiments():
    """Made by `tinyvae reproduce NAME --page lessons/pages/reproduced.md`, a section each with its figure."""
    there = {path.name for path in PAGES.glob("reproduced*")}
    if not there:
        pytest.skip("no page of what was reproduced has been made")
    text = (PAGES / "reproduced.md").read_text(encoding="utf-8")
    names = re.findall(r"^<!-- (\w+) -->$", text, re.MULTILINE)
    assert names == re.findall(r"^<!-- end of (\w+) -->$", text, re.MULTILINE) and {*names} <= {*reproduce.names()}
    assert len({*names}) == len(names) > 0 and "--recipe miniature" not in text
    assert there == {"reproduced.md", *(f"reproduced_{name}.png" for name in names)}
    for name in names:
        assert f"## {reproduce.find(name).TITLE}\n" in text and f"](reproduced_{name}.png)" in text


SMALL = """\
\"\"\"A title

Question: why?
\"\"\"

# %% [markdown]
# ## Prose, which
# goes on
#
#     z = 1

# %%
import sys
from pathlib import Path

import matplotlib.pyplot as plt

FIGURES = Path() / "figures"
FIGURES.mkdir()


def draw(name):
    fig, ax = plt.subplots(figsize=(12, 2))
    ax.plot((1, 2))
    return fig


draw("one").savefig(FIGURES / "00_one.png")
print("so: 1\\n")
print("noise", file=sys.stderr)
print("    so: 2")
"never shown"

# %% [markdown]
# - a point

# %%
draw("two").savefig(FIGURES / "00_two.png")
draw("three").savefig(FIGURES / "00_three.png")
"""
SMALL_PAGE = """\
# A title

Question: why?

*This page is what [00_small.py](../00_small.py) says, prints and draws: `tinyvae lessons 00` runs it.*

## Prose, which
goes on

    z = 1

CODE

```text
so: 1

    so: 2
```

![figure 1](00_1.png)

- a point

CODE

![figure 2](00_2.png)

![figure 3](00_3.png)
"""


@pytest.fixture
def small(tmp_path):
    """A lesson of its own, and what renders it."""
    shutil.copy(PAGES.parent / "render.py", tmp_path)
    (tmp_path / "00_small.py").write_text(SMALL)
    return tmp_path / "00_small.py"


def small_page(lesson):
    """The page that stands above, with the code."""
    code = [cell.strip() for cell in re.findall(r"^# %%\n(.*?)(?=^# %%|\Z)", SMALL, re.DOTALL | re.MULTILINE)]
    return re.sub("CODE", lambda _: f"```python\n{code.pop(0)}\n```", SMALL_PAGE)


def test_an_edited_page_is_found_out(small):
    text = small_page(small)
    check_page(small, text)
    check_page(small, text.replace("\nso: 1\n", "\nso: 3\n"))  # the run that compares headlines sees to outputs
    prose, code = ("A title", "which\n", "goes", "    z = 1", "- a"), ("import sys", "\n\n\ndef", "(1, 2)")
    for old in (*prose, *code, "![figure 1](00_1.png)\n\n", "_3"):
        assert text.count(old) == 1, old
        with pytest.raises(AssertionError, match="render it"):
            check_page(small, text.replace(old, "", 1))
    with pytest.raises(AssertionError, match="render it"):
        check_page(small, text + "\n```text\nmore\n```\n\nand more\n")


def test_the_renderer_shows_what_a_lesson_says_prints_and_draws(small):
    pytest.importorskip("jupytext"), pytest.importorskip("nbconvert"), pytest.importorskip("ipykernel")
    pages = small.parent / "pages"
    assert run(["render.py", "00"], small.parent) == "00_small: 3 figures\n"
    assert (pages / "00_small.md").read_text(encoding="utf-8") == small_page(small)
    once = {path.name: path.read_bytes() for path in pages.iterdir()}
    assert sorted(once) == ["00_1.png", "00_2.png", "00_3.png", "00_small.md"]
    assert matplotlib.image.imread(pages / "00_1.png").shape[1] <= 900
    (pages / "00_4.png").touch()  # of a figure that is no more
    run(["render.py"], small.parent)
    assert {path.name: path.read_bytes() for path in pages.iterdir()} == once
    assert sorted(path.name for path in small.parent.iterdir()) == ["00_small.py", "pages", "render.py"]

    (small.parent / "01_wrong.py").write_text(SMALL.replace("print(", "assert 1 == 2, 'no'\nprint(", 1))
    with pytest.raises(AssertionError, match="01_wrong.py fails: AssertionError: no "):
        run(["render.py"], small.parent)


def test_the_renderer_names_its_extra(small):
    without = "import runpy, sys; sys.modules['jupytext'] = None; runpy.run_path('render.py', run_name='__main__')"
    with pytest.raises(AssertionError) as refusal:
        run(["-c", without], small.parent)
    (line,) = str(refusal.value).split("assert")[0].split("\n", 1)[1].strip().splitlines()
    assert line.endswith("pip install 'tinyvae[docs]'")
