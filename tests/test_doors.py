"""What reaches a pass, which trusts its arguments: arrays of the network's precision, without gaps in memory."""

import numpy as np
import pytest

import tinyvae as tv
from tinyvae.distributions import StandardNormal
from tinyvae.machine import team
from tinyvae.models.step import step


def situation(dtype="float32"):
    vae, rng = tv.VAE(30, 2, (8,), dtype=dtype, seed=0), np.random.default_rng(1)
    x = rng.random((12, 30)).astype(dtype)
    return vae, x, vae.noise(rng, 1, 12)


@pytest.mark.parametrize("dtype, other", [("float32", "float64"), ("float64", "float32")])
def test_a_point_of_another_precision_is_asked_about_in_the_networks(dtype, other):
    vae, x, eps = situation(dtype)
    z = vae.encode(x).sample(eps)
    want, got = vae.target(x)(z), vae.target(x.astype(other))(z.astype(other))
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert got.dtype == other
    weights = np.full(z.shape[:2], 0.1, other)
    for name, right in vae.target(x).weight_gradients(z, weights.astype(dtype)).items():
        np.testing.assert_allclose(vae.target(x).weight_gradients(z, weights)[name], right, rtol=1e-4, atol=1e-6)


class Loose(StandardNormal):
    """A prior whose gradients come in another precision, or in the other order."""

    name = "loose"

    def __init__(self, change):
        self.change = change

    def batch_gradient(self, q, dparams, shares):
        return self.change(super().batch_gradient(q, dparams, shares))


@pytest.mark.parametrize("change", [lambda a: a.astype("float64"), np.asfortranarray], ids=["float64", "by columns"])
def test_a_gradient_in_another_precision_or_order_is_taken_as_it_is_meant(change):
    vae, x, eps = situation()
    vae.prior = Loose(change)
    found, right = np.empty_like(vae.theta), np.empty_like(vae.theta)
    step(vae, x, eps, tv.estimators.reparameterization, tv.ELBO(), None, found)
    vae.prior = StandardNormal()
    step(vae, x, eps, tv.estimators.reparameterization, tv.ELBO(), None, right)
    np.testing.assert_array_equal(found, right)


def test_adam_looks_at_what_it_has_learnt():
    theta, grad = np.zeros(5, "float32"), np.ones(5, "float32")
    adam = tv.Adam()
    adam.step(theta, grad)
    adam.v = adam.v.astype("float64")
    with pytest.raises(ValueError, match="float64"):
        adam.step(theta, grad)
    state = tv.Adam().state() or {"t": 1, "rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    with pytest.raises(TypeError, match="v must be float64"):
        tv.Adam().restore({**state, "m": np.zeros(5), "v": np.zeros(5, "float32")})


@pytest.mark.skipif(not team.usable(), reason="nothing goes by its address here")
def test_an_array_with_gaps_is_refused():
    with pytest.raises(ValueError, match="contiguous"):
        team.run(np.dtype("float32"), (tv.mlp.passes.update, 3, *[np.zeros(6, "float32")[::2]] * 4, np.ones(5)))


def test_the_weights_gradient_at_a_new_point_is_that_points():
    vae, x, eps = situation("float64")
    q, target, weights = vae.encode(x), vae.target(x), np.full((1, 12), 0.1)
    first, second = q.sample(eps), q.sample(-eps)
    target(first)
    for name, right in vae.target(x).weight_gradients(second, weights).items():
        np.testing.assert_array_equal(target.weight_gradients(second, weights)[name], right)


@pytest.mark.skipif(not team.usable(), reason="there are no helpers")
def test_ctrl_c_after_a_pass_wakes_who_sleeps(monkeypatch):
    one = team.Team(2)
    try:
        rung = []
        monkeypatch.setattr(one, "_wake", lambda: rung.append(True))

        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(team.kernels, "lead", interrupted)
        with pytest.raises(KeyboardInterrupt):
            one.call((0,), np.empty(0, "float32"))
        assert rung and not one.left_busy()
    finally:
        monkeypatch.undo()
        one.close()
