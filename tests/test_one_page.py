"""The model of lesson 00 is the package's: the same loss and gradient, whichever way its one `if` goes."""

import ast
from pathlib import Path

import numpy as np
import pytest

import tinyvae as tv

LESSON = Path(__file__).parents[1] / "lessons" / "00_on_one_page.py"
PARTS = ("new_parameters", "encode", "sample", "decode", "sigmoid", "loss_and_grads", "adam", "train")


@pytest.fixture(scope="module")
def page():
    """The lesson's functions and sizes, with NumPy alone, and nothing trained."""
    tree = ast.parse(LESSON.read_text(encoding="utf-8"))
    kept = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "(D, H, K)")
    ]
    names = {"np": np}
    exec(compile(ast.Module(kept, []), str(LESSON), "exec"), names)
    return names


@pytest.mark.parametrize("estimator", ["reparameterization", "score_function"])
@pytest.mark.parametrize("n_samples, n_images", [(1, 1), (1, 5), (4, 6)])
def test_its_gradient_is_the_packages(page, estimator, n_samples, n_images):
    rng = np.random.default_rng(n_samples)
    D, H, K = page["D"], page["H"], page["K"]
    vae = tv.VAE(D, K, hidden=(H,), dtype="float64")
    vae.theta = rng.normal(0, 0.2, vae.theta.shape)
    p = dict(zip(page["new_parameters"](rng), vae.params.values(), strict=True))
    x = (rng.random((n_images, D)) < 0.5).astype("float64")
    eps = rng.standard_normal((n_samples, n_images, K))
    loss, grads = page["loss_and_grads"](p, x, eps, estimator)
    expected, expected_grads = vae.loss_and_grads(x, eps, estimator)
    assert abs(loss - expected) < 1e-10
    for name, of_vae in zip(p, vae.views(expected_grads).values(), strict=True):
        assert grads[name].shape == of_vae.shape and abs(grads[name] - of_vae).max() < 1e-10, name


def test_its_adam_is_the_packages(page):
    rng = np.random.default_rng(0)
    p, optimizer = {"a": rng.standard_normal(50)}, tv.Adam(3e-3)
    theta, m, v = p["a"].copy(), {"a": np.zeros(50)}, {"a": np.zeros(50)}
    for t in range(1, 6):
        grad = rng.standard_normal(50)
        page["adam"](p, {"a": grad}, m, v, t)
        optimizer.step(theta, grad)
        np.testing.assert_allclose(p["a"], theta, rtol=1e-12)


def test_it_learns(page):
    """A few steps lower the loss, and the first yield is the start."""
    x = (np.random.default_rng(0).random((60, page["D"])) < 0.2).astype("float64")
    eps = np.random.default_rng(1).standard_normal((2, 60, page["K"]))
    seen = [
        (step, page["loss_and_grads"](p, x, eps, "reparameterization")[0])
        for step, p in page["train"](x, "reparameterization", seed=0, epochs=3, B=25)
    ]
    assert [step for step, _ in seen] == [0, 3, 6, 9]
    assert seen[-1][1] < seen[0][1] - 1


def test_it_is_a_page_of_numpy():
    """Its model and training, comments and docstrings left out, are about a hundred lines of NumPy alone."""
    tree = ast.parse(LESSON.read_text(encoding="utf-8"))
    parts = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in PARTS]
    assert sorted(node.name for node in parts) == sorted(PARTS)
    assert sum(node.end_lineno - node.lineno + 1 for node in parts) <= 100
    assert {node.value.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)} & {"np", "tv", "plots"} == {"np"}  # fmt: skip
