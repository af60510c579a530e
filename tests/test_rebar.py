"""REBAR and RELAX on discrete latents: exact by quadrature over the noise, and what they learn against differences."""

import copy

import numpy as np
import pytest
import scipy.integrate
from scipy.special import expit, logit

import tinyvae as tv
from tinyvae import check
from tinyvae.estimators import Rebar, Relax

SAMPLED = tv.ELBO(beta=2.0, kl="monte_carlo")
OBJECTIVES = [None, tv.ELBO(), SAMPLED]


def bits(n, seed=0):
    return tv.Binary(np.random.default_rng(seed).normal(size=(1, n)), tv.distributions.Bits(0.3))


def groups(n, n_ways, seed=0):
    return tv.Categorical(np.random.default_rng(seed).normal(size=(1, n * n_ways)), n_ways)


def wave(n, seed=0):
    """A smooth target that couples all of n numbers."""
    mix = np.random.default_rng(seed).normal(size=(n, n))
    return tv.Target(lambda z: np.sin(z @ mix).sum(axis=2) + 3, lambda z: np.cos(z @ mix) @ mix.T)


STEEP = tv.Target(lambda z: np.exp(2 * z)[..., 0], lambda z: 2 * np.exp(2 * z))


def taught(estimator, q, target, objective=None, updates=3):
    rng = np.random.default_rng(1)
    for _ in range(updates):
        estimator(q, target, q.noise(rng, 4), objective)
        estimator.update()
    return estimator


def group_nodes(q, n_nodes):
    """Noise of one group at all nodes, and weights: each way taken, and smooth in the uniform numbers given it."""
    x, w = np.polynomial.legendre.leggauss(n_nodes)
    v = np.stack(np.meshgrid(*[(x + 1) / 2] * q.n_ways, indexing="ij"), axis=-1).reshape(-1, q.n_ways)  # M, W
    w = np.stack(np.meshgrid(*[w / 2] * q.n_ways, indexing="ij"), axis=-1).reshape(-1, q.n_ways).prod(axis=1)
    eps, weights = [], []
    for way in range(q.n_ways):
        z = np.zeros((1, len(v), q.n_ways))
        z[..., way] = 1
        tiled = q.like(np.repeat(q.params, len(v), axis=0))
        eps.append(tiled.noise_given(z, v[None]))
        weights.append(w * q.probs[0, way])
    return np.concatenate(eps, axis=1), np.concatenate(weights)


# --- means and variances ----------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("temperature, scale", [(0.5, 1.0), (1.0, 0.7), (0.25, -0.3)])
@pytest.mark.parametrize("n", [1, 2])
def test_rebars_mean_is_the_sum_over_all_states(n, temperature, scale, objective):
    q, f = bits(n), wave(n)
    rebar = taught(Rebar(temperature, scale), q, f, objective)
    assert rebar.learnt.level > 1 and rebar.learnt.temperature != temperature
    mean, _ = check.exact_mean(rebar, q, f, objective, n_nodes=40 if n == 1 else 24)
    np.testing.assert_allclose(mean, check.exact_gradient(q, f, objective), rtol=0, atol=1e-6)


@pytest.mark.parametrize("temperature", [None, 0.5])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_relaxs_mean_is_the_sum_over_all_states(objective, temperature):
    q, f = bits(1), wave(1)
    relax = taught(Relax((4,), rate=0.05, temperature=temperature), q, f, objective, updates=20)
    mean, _ = check.exact_mean(relax, q, f, objective, n_nodes=80)
    np.testing.assert_allclose(mean, check.exact_gradient(q, f, objective), rtol=0, atol=1e-6)


@pytest.mark.parametrize("p, temperature, scale", [(0.75, 0.5, 1.0), (0.3, 1.0, 0.6)])
def test_rebars_moments_for_one_bit_are_the_formula_integrated(p, temperature, scale):
    def f(z):
        return np.exp(2 * z)

    def estimate(eps):
        z, y = float(eps > 1 - p), expit((logit(p) + logit(eps)) / temperature)
        slope = 2 * f(y) * y * (1 - y) / temperature
        held = 1 - ((1 - p) / eps if z else p / (1 - eps))  # how the odds move with the logit, z held
        return (f(z) - scale * f(y)) * (z - p) + scale * (slope - slope * held)

    def integral(function):
        return sum(scipy.integrate.quad(function, *ends, epsabs=1e-12)[0] for ends in ((0, 1 - p), (1 - p, 1)))

    target = tv.Target(lambda z: f(z)[..., 0], lambda z: 2 * f(z))
    q = tv.Binary(np.array([[logit(p)]]))
    mean, variance = check.exact_mean(Rebar(temperature, scale, 0), q, target, n_nodes=60)
    assert mean.item() == pytest.approx(p * (1 - p) * (f(1) - f(0)), rel=1e-9)
    assert integral(estimate) == pytest.approx(mean.item(), rel=1e-9)
    assert integral(lambda eps: (estimate(eps) - mean.item()) ** 2) == pytest.approx(variance.item(), rel=1e-8)


@pytest.mark.parametrize("make", [lambda: Rebar(0.8, 0.6), lambda: Relax((4,), rate=0.05)], ids=["rebar", "relax"])
@pytest.mark.parametrize("objective", [None, SAMPLED])
@pytest.mark.parametrize("n_ways", [2, 3])
def test_on_a_group_the_mean_is_the_sum_over_all_states(n_ways, objective, make):
    q, f = groups(1, n_ways), wave(n_ways)
    estimator = taught(make(), q, f, objective)
    eps, weights = group_nodes(q, 24)
    draws = estimator(q.like(np.repeat(q.params, len(weights), axis=0)), f, eps, objective)
    mean = weights @ draws.dparams[0]
    np.testing.assert_allclose(mean, check.exact_gradient(q, f, objective)[0], rtol=0, atol=1e-4)
    assert weights.sum() == pytest.approx(1) and np.abs(mean).max() > 0.04


@pytest.mark.parametrize("kl", ["analytic", "monte_carlo"])
def test_in_a_vae_the_mean_is_the_slope_of_the_exact_loss(kl):
    vae = tv.VAE(6, 2, (5,), latents="binary", dtype="float64", seed=1)
    vae.theta *= 2
    x = np.random.default_rng(0).integers(0, 2, (1, 6)).astype("uint8")
    q, target, objective = vae.encode(x), vae.target(x), tv.ELBO(kl=kl)
    mean, _ = check.exact_mean(taught(Rebar(), q, target, objective), q, target, objective, n_nodes=16)
    np.testing.assert_allclose(mean, check.exact_gradient(q, target, objective), atol=1e-6)


# --- the paths --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [bits(2), groups(2, 3)], ids=["bits", "groups"])
def test_paths_are_the_slopes_of_what_they_follow(q):
    rng = np.random.default_rng(0)
    eps, dodds = q.noise(rng, 5), rng.normal(size=(5, *q.params.shape))
    z, odds = q.sample(eps), q.odds(eps)
    v = q.noise(rng, 5)
    held = q.noise_given(z, v)
    path, moved, step = q.given_path(dodds, held), rng.normal(size=odds.shape), 1e-6
    y, through = q.relaxed(odds, 0.7), q.relaxed_path(dodds, q.relaxed(odds, 0.7), 0.7)
    for k in range(q.params.shape[1]):
        nudge = step * np.eye(q.params.shape[1])[k]
        ends = [one.odds(one.noise_given(z, v)) for one in (q.like(q.params + nudge), q.like(q.params - nudge))]
        numeric = (dodds * (ends[0] - ends[1])).sum(axis=2) / (2 * step)
        np.testing.assert_allclose(path[..., k], numeric, atol=1e-7)
        ends = [q.relaxed(odds + nudge, 0.7), q.relaxed(odds - nudge, 0.7)]
        np.testing.assert_allclose(through[..., k], (dodds * (ends[0] - ends[1])).sum(axis=2) / (2 * step), atol=1e-7)
    forth, back = (dodds * q.given_moved(moved, held)).sum(axis=2), (path * moved).sum(axis=2)
    np.testing.assert_allclose(forth, back, rtol=1e-10)
    np.testing.assert_array_equal(q.sample(held), z)
    assert ((y > 0) & (y < 1)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["rebar", "relax", "arm", "disarm"])
def test_bits_that_are_as_good_as_certain_leave_finite_numbers(name, dtype):
    q = tv.Binary(np.array([[-80.0, 80.0, 20.0, -20.0, 0.0]], dtype))
    tiny = np.finfo(dtype).epsneg
    eps = np.array([tiny / 2, tiny, 0.5, 1 - tiny], dtype)[:, None, None] * np.ones((1, 1, 5), dtype)
    f = tv.Target(lambda z: z.sum(axis=2), np.ones_like)
    estimators = [(q, eps)]
    if name != "arm":
        estimators += [(tv.Categorical(np.array([[-80.0, 80.0, 20.0]], dtype), 3), eps[..., :3])]
    for one, noise in estimators:
        draws = tv.estimators.make(name)(one, f, noise)
        assert np.isfinite(draws.dparams).all() and draws.dparams.dtype == draws.f.dtype == dtype


# --- what they learn --------------------------------------------------------------------------------------


def test_rebar_learns_down_the_slope_of_its_mean_square():
    # A temperature whose slope were forgotten, or had another sign, would cost variance alone: no mean would tell.
    q, f = tv.Binary(np.array([[0.4]])), STEEP
    eps, weights = q.noise_nodes(40, 1)
    tiled = q.like(np.repeat(q.params, len(weights), axis=0))

    def mean_square(log_temperature, scale):
        draws = Rebar(np.exp(log_temperature), scale, 0.0)(tiled, f, eps)
        return weights @ (draws.dparams[0, :, 0] ** 2)

    rebar, at = Rebar(0.7, 0.4), np.array([np.log(0.7), 0.4])
    rebar(tiled, f, eps)
    dparams, controls, _ = rebar._seen
    weighed = [part * (weights * len(weights))[None, :, None] for part in controls]  # the mean's, by quadrature
    found = rebar.slopes(dparams, weighed)
    for k, near in ((0, 0.03), (1, 1e-6)):  # 1% is the temperature's own step; in scale it is a parabola
        step = 1e-4 * np.eye(2)[k]
        numeric = (mean_square(*(at + step)) - mean_square(*(at - step))) / 2e-4
        assert abs(numeric) > 0.01 and found[k] == pytest.approx(numeric, rel=near)


def test_learning_pays():
    q, f = tv.Binary(np.array([[0.4]])), STEEP
    options = {"temperature": 0.2, "scale": 1.0}
    fixed, learnt = (taught(Rebar(**options, rate=rate), q, f, updates=200) for rate in (0, 0.02))
    assert (fixed.learnt.temperature, fixed.learnt.scale) == (pytest.approx(0.2), 1.0)
    assert learnt.learnt.temperature > 0.25 and learnt.learnt.scale < 0.5
    variances = [check.exact_mean(one, q, f, n_nodes=40)[1].item() for one in (fixed, learnt)]
    assert variances[0] > 5 * variances[1]


@pytest.mark.parametrize("temperature", [None, 0.5])
@pytest.mark.parametrize("q, n", [(bits(2), 2), (groups(1, 3), 3)], ids=["bits", "groups"])
def test_relax_learns_down_the_slope_of_its_mean_square(q, n, temperature):
    f, eps = wave(n), q.noise(np.random.default_rng(2), 6)
    relax = taught(Relax((5,), rate=0.01, temperature=temperature), q, f, updates=2)
    draws = relax(q, f, eps)
    seen, network = relax._seen, relax.learnt
    analytic = np.zeros_like(network.mlp.theta)
    for cache, slope in relax.passes(*seen[1:]):
        part = np.empty_like(analytic)
        network.mlp.backpropagate(cache, slope[:, None] * network.std, part)
        analytic += part
    theta, numeric = network.mlp.theta.copy(), np.empty_like(analytic)
    for i in range(len(theta)):
        ends = []
        for step in (1e-5, -1e-5):
            network.mlp.theta[:] = theta
            network.mlp.theta[i] += step
            ends.append(float((relax(q, f, eps).dparams ** 2).sum() / draws.f.size))
        numeric[i] = (ends[0] - ends[1]) / 2e-5
    assert np.linalg.norm(analytic - numeric) < 1e-6 * np.linalg.norm(numeric)


@pytest.mark.parametrize("rate, evaluations, gradients", [(0.01, 9, 6), (0, 6, 3)])
def test_evaluations_are_counted_and_a_call_alone_teaches_nothing(rate, evaluations, gradients):
    q, f = bits(2), wave(2)
    rebar, eps = Rebar(rate=rate), q.noise(np.random.default_rng(0), 3)
    first = rebar(q, f, eps)
    assert (f.evaluations, f.gradients) == (evaluations, gradients)
    np.testing.assert_array_equal(rebar(q, f, eps).dparams, first.dparams)
    assert rebar.state() == {}
    rebar.update()
    assert (rebar(q, f, eps).dparams != first.dparams).any()  # at a fixed temperature, the level


def test_relax_around_f_at_the_relaxed_sample_is_rebar_and_a_network():
    q, f, eps = bits(2), wave(2), bits(2).noise(np.random.default_rng(5), 3)
    relax = Relax((4,), temperature=0.5)  # before it learns, its network's prediction is 0
    np.testing.assert_allclose(relax(q, f, eps).dparams, Rebar(0.5, 1.0, 0.0)(q, f, eps).dparams, atol=1e-14)
    assert repr(relax) == "Relax(hidden=(4,), rate=0.001, seed=0, step=0.0001, temperature=0.5)"
    relax.update()
    left = f(q.sample(eps)) - f(q.relaxed(q.odds(eps), 0.5))  # what the network is to predict
    assert relax.learnt.scale == pytest.approx((left.mean(), left.var()), rel=1e-9)


def test_what_rebar_learnt_is_saved_and_restored():
    q, f, eps = bits(2), wave(2), bits(2).noise(np.random.default_rng(5), 3)
    one, other = taught(Rebar(), q, f, updates=5), Rebar()
    fresh = other(q, f, eps).dparams
    other.restore(copy.deepcopy(one.state()))
    for _ in range(3):
        np.testing.assert_array_equal(one(q, f, eps).dparams, other(q, f, eps).dparams)
        one.update(), other.update()
    assert repr(one) == repr(other) == repr(Rebar()) == "Rebar(temperature=0.5, scale=1.0, rate=0.01)"
    other.restore({})
    np.testing.assert_array_equal(other(q, f, eps).dparams, fresh)


def test_a_run_in_two_parts_is_a_run_in_one(digits, tmp_path):
    x = (digits[:60] > 0.5).astype("uint8")

    def run(epochs, checkpoint=None):
        vae, rebar = tv.VAE(64, 3, (8,), latents="binary", seed=0), Rebar()
        tv.fit(vae, x, estimator=rebar, epochs=epochs, batch_size=30, checkpoint=checkpoint)
        return vae.theta, rebar

    whole, unbroken = run(4)
    run(2, tmp_path / "run.npz")
    again, learner = run(4, tmp_path / "run.npz")
    np.testing.assert_array_equal(again, whole)
    assert learner.state().keys() == unbroken.state().keys() > {"theta", "mean.average"}
    for name, array in unbroken.state().items():
        np.testing.assert_array_equal(learner.state()[name], array)


@pytest.mark.parametrize("latents", ["binary", "categorical"])
def test_the_laboratory_takes_them(latents, digits):
    x = (digits[:6] > 0.5).astype("uint8")
    vae = tv.VAE(64, 2, (8,), latents=latents, seed=0)
    names = ["leave_one_out", *["arm"] * (latents == "binary"), "disarm", "rebar", "relax"]
    reports = tv.variance.measure(vae, x, names, n_samples=2, n_draws=20, n_timings=1)
    assert list(reports) == names and all(np.isfinite(reports[name].mean["logits"]).all() for name in names)
    if latents == "categorical":
        with pytest.raises(ValueError, match="arm needs q.augmented_score, which a Categorical does not have"):
            tv.variance.measure(vae, x, ["arm"], n_draws=20, n_timings=1)


# --- mistakes ---------------------------------------------------------------------------------------------


def without_the_conditional_term(estimator, learner):
    """The path with z held taken for none at all: of a q whose `given_path` is 0."""

    def wrong(q, target, eps, objective=None, rng=None):
        blind = q.like(q.params)
        blind.given_path = lambda slope, eps: 0 * slope
        return learner(blind, target, eps, objective)

    return wrong


def test_the_certificate_passes_both_and_convicts_what_forgets_the_conditional_sample(monkeypatch):
    for name, n in (("FEWEST", 10_000), ("PILOT", 2_000), ("CALLS", 5_000), ("SMALLEST", 1_000)):
        monkeypatch.setattr(check.certificate, name, n)
    q, f = bits(2), wave(2)
    problems, asked = [check.problem("bits", q, f, SAMPLED)], dict(n_samples=(2,), max_draws=10_000)
    for make in (Rebar, lambda: Relax((4,), rate=0.05)):
        check.unbiased(make(), problems, **asked).assert_passed()
        learner = taught(make(), q, f, SAMPLED, updates=20)
        assert not check.unbiased(without_the_conditional_term(make, learner), problems, **asked).passed


BAD = [
    (lambda: Rebar(temperature=0), ValueError, "temperature must be .* greater than 0, got 0"),
    (lambda: Rebar(scale="big"), TypeError, "scale must be a number, got 'big'"),
    (lambda: Rebar(rate=-1), ValueError, "rate must be"),
    (lambda: Rebar()(bits(1), tv.Target(lambda z: z.sum(axis=2)), np.full((1, 1, 1), 0.5)), ValueError, "needs df/dz"),
    (
        lambda: Rebar()(tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1))), wave(1), np.zeros((1, 1, 1))),
        ValueError,
        "rebar needs q.odds, which a DiagonalGaussian does not have",
    ),
    (
        lambda: Rebar()(bits(1), wave(1), np.full((2, 1, 1), 0.5), tv.ImportanceWeighted()),
        ValueError,
        "importance-weighted bound",
    ),
    (lambda: Relax(temperature=0), ValueError, "temperature must be .* greater than 0, got 0"),
    (
        lambda: Relax(temperature=1)(
            tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1))), wave(1), np.zeros((1, 1, 1))
        ),
        ValueError,
        "relax with a temperature is for discrete latents, got a DiagonalGaussian: leave it out",
    ),
    (lambda: Rebar().update(), RuntimeError, "call the estimator first"),
    (lambda: Rebar().restore({"theta": np.zeros(3)}), ValueError, "theta must have shape"),
]


@pytest.mark.parametrize("call, error, message", BAD)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
