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

import tinyvae as tv

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


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
