"""The heart: the fast step gives what its plain twin gives, and TINYVAE_NUMPY=1 runs the twin."""

import copy
import inspect
import os
import subprocess
import sys

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.kernels import first_layer, passes
from tinyvae.kernels.compile import USE_NUMPY
from tinyvae.machine import team
from tinyvae.machine.arena import Arena
from tinyvae.mlp import LEAST_UNITS
from tinyvae.models.step import step, step_numpy

OBJECTIVES = {
    "analytic KL": tv.ELBO(),
    "beta 0.3": tv.ELBO(beta=0.3),
    "sampled KL": tv.ELBO(kl="monte_carlo"),
    "beta 2, sampled KL": tv.ELBO(beta=2.0, kl="monte_carlo"),
    "bound": tv.ImportanceWeighted(),
}
PAIRS = [
    (name, objective)
    for objective, one in OBJECTIVES.items()
    for name in tv.estimators.names("average" if one.averages else "bound")
]


def situation(dtype, pixels, hidden=(101,), activation="tanh", n_samples=2, latents="gaussian"):
    """A VAE whose biases are not zero, 40 data points of 300 pixels, and noise."""
    vae, rng = tv.VAE(300, 3, hidden, activation, dtype=dtype, seed=1, latents=latents), np.random.default_rng(2)
    vae.theta += (0.05 * rng.standard_normal(vae.theta.shape)).astype(dtype)
    x = rng.random((40, 300))
    x = (x < 0.13).astype("uint8") if pixels == "bits" else x.astype(dtype)
    return vae, x, vae.noise(rng, n_samples, len(x))


GAUSSIAN = tv.estimators.names(q=tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1))))


def latents_of(name):
    """Of those that an estimator takes."""
    return "gaussian" if name in GAUSSIAN else "binary"


def run(function, vae, x, eps, estimator, objective):
    """The Step and the gradient. Each run has an estimator of its own, and the same random numbers."""
    grads = np.full_like(vae.theta, np.nan)
    found = function(vae, x, eps, copy.deepcopy(estimator), objective, np.random.default_rng(3), grads)
    return found, grads


def assert_equal(plain, fast, rtol):
    (step_plain, grads_plain), (step_fast, grads_fast) = plain, fast
    np.testing.assert_allclose(step_fast, step_plain, rtol=rtol)
    assert np.isfinite(grads_plain).all()
    assert np.linalg.norm(grads_fast - grads_plain) <= rtol * np.linalg.norm(grads_plain)


@pytest.mark.parametrize("pixels", ["bits", "grey"])
@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-12), ("float32", 2e-4)])
@pytest.mark.parametrize("name, objective", PAIRS)
def test_the_fast_step_is_the_plain_one(name, objective, dtype, rtol, pixels):
    vae, x, eps = situation(dtype, pixels, latents=latents_of(name))
    arguments = (x, eps, tv.estimators.make(name), OBJECTIVES[objective])
    plain = run(step_numpy, vae, *arguments)
    assert_equal(plain, run(step, vae, *arguments), rtol)
    assert_equal(plain, run(step, vae.using(Arena()), *arguments), rtol)  # as training runs it


@pytest.mark.parametrize("activation", tv.mlp.ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (5,), (7, 6)])
def test_for_every_activation_and_depth(hidden, activation):
    vae, x, eps = situation("float64", "grey", hidden, activation, n_samples=3)
    arguments = (x, eps, tv.estimators.leave_one_out, tv.ELBO())
    assert_equal(run(step_numpy, vae, *arguments), run(step, vae, *arguments), 1e-12)


def test_bits_take_the_path_that_does_not_multiply():
    vae, x, _ = situation("float32", "bits")
    assert vae.hidden[0] >= LEAST_UNITS and vae.encoder.propagate(x)[1].x.dtype == np.uint8


def test_the_two_take_the_same_arguments():
    assert list(inspect.signature(step).parameters) == list(inspect.signature(step_numpy).parameters)
    assert tv.VAE.step is step and (step is step_numpy) == USE_NUMPY


@pytest.mark.parametrize("function", [step_numpy, step])
@pytest.mark.parametrize(
    "wrong, term",
    [
        ("encoder.b0", "the KL term became (inf|nan)"),
        ("decoder.b1", "the reconstruction term became (inf|nan)"),
        ("draws", "the gradient of the encoder's output became (inf|nan)"),
    ],
)
def test_both_name_a_term_that_is_not_finite(function, wrong, term):
    vae, x, eps = situation("float32", "grey")

    def estimator(q, target, eps, objective, rng):
        draws = tv.estimators.reparameterization(q, target, eps, objective)
        return draws._replace(dparams=draws.dparams * np.nan) if wrong == "draws" else draws

    if wrong == "encoder.b0":
        vae.params["encoder.b1"][:] = 1e30
    elif wrong == "decoder.b1":
        vae.params["decoder.b1"][:] = np.inf
    with np.errstate(all="ignore"), pytest.raises(tv.NonFiniteLoss, match=term):
        run(function, vae, x, eps, estimator, tv.ELBO())


def test_tinyvae_numpy_runs_the_plain_step(digits):
    script = """
import numpy as np, tinyvae as tv
from tinyvae.models.step import step, step_numpy
assert (tv.VAE.step is step_numpy) == {numpy}
x = (tv.datasets.load("digits").train[:200] > 0.5).astype("uint8")
vae = tv.VAE(64, 2, (16,), dtype="float64")
for record in tv.train(vae, x, "leave_one_out", n_samples=3, epochs=2): pass
print(repr(record.loss), repr(float(vae.theta @ vae.theta)))
"""
    found = []
    for numpy in (True, False):
        env = {
            **os.environ,
            "TINYVAE_NUMPY": "1" if numpy else "",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        done = subprocess.run(
            [sys.executable, "-c", script.format(numpy=numpy)], env=env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        found.append([float(word) for word in done.stdout.split()])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


@pytest.mark.skipif(USE_NUMPY, reason="the plain step hands nothing over")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_handed_over_by_its_address_is_contiguous_and_of_the_network_s_precision(dtype, monkeypatch):
    """A pass sees no types: another one's numbers would be read as its own."""
    handed, run_ = [], team.run

    def checked(real, *calls):
        for pass_, *arguments in calls:
            for argument in arguments:
                if isinstance(argument, np.ndarray):
                    own = argument.dtype in (real, np.uint8, np.int64) or pass_ is passes.update and len(argument) == 5
                    assert argument.flags.c_contiguous and own, (pass_, argument.dtype, argument.strides)
            handed.append(pass_)
        return run_(real, *calls)

    monkeypatch.setattr(team, "run", checked)
    for pixels in ("bits", "grey"):
        for name, objective in PAIRS:
            vae, x, eps = situation(dtype, pixels, (100,), latents=latents_of(name))
            estimator = tv.estimators.make(name)
            grads = np.empty_like(vae.theta)
            for _ in range(2):
                step(vae, x, eps, estimator, OBJECTIVES[objective], np.random.default_rng(3), grads)
                tv.Adam().step(vae.theta, grads)
                if hasattr(estimator, "update"):
                    estimator.update()
    assert {passes.forward, first_layer.first_gradient, passes.losses, passes.update} <= set(handed)
