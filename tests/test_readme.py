"""The README's code runs as it stands there, in a process of its own.

Its estimators pass the package's own certificate.
"""

import inspect
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.cli import options
from tinyvae.exercises import course

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Interval(value=" in done.stdout
    assert "leave_one_out: no bias found" in done.stdout


def test_the_two_estimators_of_the_readme_are_the_package_s():
    block = next(
        block for block in README.split("```") if "def score_function" in block and "def reparameterization" in block
    )
    lines = block.strip("\n").splitlines()
    column = lines[0].index("def score_function")
    names = {"Integrand": tv.objectives.Integrand, "Draws": tv.Draws}
    for text in ("\n".join(line[:column] for line in lines), "\n".join(line[column:] for line in lines)):
        exec(text, names)
    rng = np.random.default_rng(0)
    q = tv.DiagonalGaussian(rng.normal(size=(3, 2)), rng.normal(size=(3, 2)))
    target = tv.Target(lambda z: (z**3).sum(axis=2), lambda z: 3 * z**2)
    eps = q.noise(rng, 4)
    for name in ("reparameterization", "score_function"):
        for objective in (None, tv.ELBO(kl="monte_carlo"), tv.ImportanceWeighted()):
            if name == "score_function" and isinstance(objective, tv.ImportanceWeighted):
                continue
            ours, theirs = (
                names[name](q, target, eps, objective, None),
                tv.estimators.make(name)(q, target, eps, objective),
            )
            np.testing.assert_array_equal(ours.dparams, theirs.dparams)


def test_the_step_of_the_readme_is_the_package_s():
    from tinyvae.models.step import step_numpy

    source = inspect.getsource(step_numpy)
    body = textwrap.dedent(source[source.index("    params, cache") :]).strip()
    assert f"```\n{body}\n```" in README


@pytest.mark.parametrize("name", ["README.md", "lessons/README.md"])
def test_the_links_lead_somewhere(name):
    """Those to pages, and the picture of the course, once they have been rendered."""
    file = ROOT / name
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", file.read_text(encoding="utf-8"), flags=re.DOTALL))
    links = [link.partition("#")[0] for link in links if "://" not in link]
    if not (ROOT / "lessons" / "pages").is_dir():
        links = [link for link in links if "pages/" not in link and not link.startswith("@@")]
    assert links and not [link for link in links if not (file.parent / link).is_file()]


def test_the_commands_of_the_course_are_commands():
    lines = [line.partition("#")[0].partition(">")[0].split() for line in README.splitlines()]
    commands = [line[1:] for line in lines if line[:1] == ["tinyvae"] and line[1:2] in (["lessons"], ["exercise"])]
    assert len(commands) == 5
    for words in commands:
        args = options.parse(words)
        assert args.lesson is None or course.stub(course.find(args.lesson)).is_file()
