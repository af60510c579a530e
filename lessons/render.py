"""Render lessons as pages that can be read without running them: `python lessons/render.py [NN ...]`, all if none.

Writes `pages/NN_name.md` with the prose, the code, what each cell prints, and each figure after the cell that draws it.
A lesson runs as a notebook, in an empty folder of its own. Needs `pip install 'tinyvae[docs]'`.
"""

import argparse
import io
import os
import sys
import tempfile
from pathlib import Path

try:
    import jupytext
    import nbconvert
    from ipykernel.kernelspec import KERNEL_NAME
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from nbformat.v4 import new_markdown_cell
    from PIL import Image
except ImportError as error:
    raise SystemExit(f"{error}: pip install 'tinyvae[docs]'") from None

HERE = Path(__file__).resolve().parent
WIDTH, COLOURS = 900, 128  # pixels of a figure, and its palette: all pages together stay small
TEMPLATE = r"""{%- extends "markdown/index.md.j2" -%}
{%- block in_prompt -%}{%- endblock -%}
{%- block execute_result -%}{%- endblock -%}
{%- block stream -%}{%- if output.name == "stdout" -%}
    {{ "\n```text\n" + output.text.rstrip() + "\n```\n" }}
{%- endif -%}{%- endblock -%}
{%- block display_data -%}{{ "\n![png](" + output.metadata.filenames["image/png"] + ")\n" }}{%- endblock -%}
"""


def small(png):
    """The bytes of a figure, made small."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((WIDTH, image.height), Image.Resampling.LANCZOS)
    # The default method gives the rare colours, the ends of a colour bar, away; this one none (25 of 255 at most).
    image = image.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    image.save(made := io.BytesIO(), "PNG", optimize=True)
    return made.getvalue()


def render(lesson):
    """Run a lesson and write its page; if it fails, the page that was there stays."""
    notebook, number, pages = jupytext.read(lesson, fmt="py:percent"), lesson.name[:2], HERE / "pages"
    says = f"[{lesson.name}](../{lesson.name}) says, prints and draws: `tinyvae lessons {number}` runs it"
    title = notebook.cells[0].source.strip('"')
    notebook.cells[0] = new_markdown_cell(f"# {title}\n*This page is what {says}.*")
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"PYTHONPATH": str(HERE.parent), "IPYTHONDIR": f"{folder}/.ipython"}
        os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
        options = {"kernel_name": KERNEL_NAME, "coalesce_streams": True, "extra_arguments": ["--log-level=ERROR"]}
        nbconvert.preprocessors.ExecutePreprocessor(**options).preprocess(notebook, {"metadata": {"path": folder}})
    text, resources = nbconvert.MarkdownExporter(raw_template=TEMPLATE).from_notebook_node(notebook)
    pages.mkdir(exist_ok=True)
    for old in pages.glob(f"{number}_*"):
        old.unlink()
    for i, (name, png) in enumerate(resources["outputs"].items(), start=1):
        (pages / f"{number}_{i}.png").write_bytes(small(png))
        text = text.replace(f"![png]({name})", f"![figure {i}]({number}_{i}.png)")
    (pages / f"{lesson.stem}.md").write_text(text.strip() + "\n", encoding="utf-8")
    print(f"{lesson.stem}: {len(resources['outputs'])} figures")


def main():
    """Render the lessons named; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("numbers", nargs="*", metavar="NN", help="lessons; all if none is given")
    numbers, failed = parser.parse_args().numbers, 0
    lessons = [path for path in sorted(HERE.glob("[0-9][0-9]_*.py")) if not numbers or path.name[:2] in numbers]
    if missing := sorted(set(numbers) - {path.name[:2] for path in lessons}):
        parser.error(f"there is no lesson {', '.join(missing)}")
    for lesson in lessons:
        try:
            render(lesson)
        except (CellExecutionError, DeadKernelError) as error:
            failed, reason = 1, nbconvert.filters.strip_ansi(str(error)).strip().splitlines()[-1]
            print(f"{lesson.name} fails: {reason} (`python lessons/{lesson.name}` shows where)", file=sys.stderr)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
