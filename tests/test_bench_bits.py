"""The benchmark's gradients of a model with bits are the same in PyTorch and here, to rounding in float64."""

import sys
from pathlib import Path

import numpy as np
import pytest

import tinyvae as tv

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
NAMES = (
    "score_function", "input_dependent", "leave_one_out", "rebar", "relax", "arm", "disarm", "gumbel_softmax",
)  # fmt: skip


@pytest.fixture
def bits_torch(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "bench"))
    import bits_torch

    yield bits_torch
    for name in ("bits_torch", "peers_torch"):
        sys.modules.pop(name)


class Noted:
    """An optimiser that notes a gradient and moves nothing."""

    rate = 1.0

    def step(self, theta, grads):
        self.grads = grads.copy()


@pytest.mark.parametrize("name", NAMES)
def test_both_sides_of_the_benchmark_compute_one_gradient(name, bits_torch):
    rng, sizes, K = np.random.default_rng(0), (7, 5, 4, 3, 4, 5, 7), 3
    params = [one.double().requires_grad_() for one in bits_torch.parameters(sizes)]
    learnt, running, _ = bits_torch.learners(name, K)
    learnt = [one.double().requires_grad_() for one in learnt]
    x = (rng.random((6, 7)) < 0.4).astype("float64")
    eps = rng.uniform(0.01, 0.99, (2 if name == "leave_one_out" else 1, 6, K))
    vae = tv.VAE(7, K, (5, 4), dtype="float64", latents="binary")
    vae.theta = np.concatenate([one.detach().numpy().ravel() for one in params])
    estimator = tv.estimators.make(name, **({"temperature": 0.5} if name == "relax" else {}))
    if name == "rebar":
        running = torch.tensor([3.0, 3.0], dtype=torch.float64)
        estimator.restore({"theta": learnt[0].detach().numpy(), "mean.average": 3.0, "mean.decay": np.array(0.9)})
    elif learnt:
        running = torch.tensor([2.0, 1.7], dtype=torch.float64)
        theta = np.concatenate([one.detach().numpy().ravel() for one in learnt])
        estimator.restore(
            {"theta": theta, "n_inputs": len(learnt[0]), "decay": np.array(0.9), "mean_and_variance": [2.0, 1.7]}
        )
    value, after = bits_torch.loss(params, learnt, running.double(), *map(torch.from_numpy, (x, eps)), name)
    theirs = [one.numpy().ravel() for one in torch.autograd.grad(value, [*params, *learnt])]
    _, ours = vae.loss_and_grads(x, eps, estimator)
    np.testing.assert_allclose(ours, np.concatenate(theirs[: len(params)]), rtol=1e-9, atol=1e-12)
    if learnt:
        noted = estimator.learnt.optimizer = Noted()
        estimator.update()
        np.testing.assert_allclose(noted.grads, np.concatenate(theirs[len(params) :]), rtol=1e-6, atol=1e-8)
        mean = estimator.learnt.mean.value if name == "rebar" else estimator.learnt.scale
        np.testing.assert_allclose(after.detach()[: np.size(mean)], np.atleast_1d(mean), rtol=1e-12)
