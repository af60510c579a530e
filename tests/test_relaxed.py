"""Straight-through, Gumbel-softmax and MuProp: their bias and variance by enumeration and quadrature."""

import itertools

import numpy as np
import pytest
import scipy.optimize

import tinyvae as tv
from tinyvae import check, compare, problems, variance
from tinyvae.estimators import muprop, straight_through
from tinyvae.estimators.traits import decoder_sample
from tinyvae.models.step import step, step_numpy
from tinyvae.objectives import Integrand

SAMPLED = tv.ELBO(beta=2.0, kl="monte_carlo")
OBJECTIVES = [None, tv.ELBO(), SAMPLED]
RELAXED = ("gumbel_softmax", "straight_through_gumbel_softmax")
BIASED = ("straight_through", *RELAXED)


def logit(p):
    return np.log(p) - np.log1p(-p)


def bit(p=0.75):
    return tv.Binary(np.array([[logit(p)]]))


def bowl(t=0.45):
    return tv.Target(lambda z: ((z - t) ** 2).sum(axis=2), lambda z: 2 * (z - t))


def bits(n, seed=0, rows=1):
    rng = np.random.default_rng(seed)
    return tv.Binary(rng.normal(scale=1.5, size=(rows, n)), tv.distributions.Bits(0.3))


def groups(n=2, ways=3, rows=1):
    rng = np.random.default_rng(1)
    prior = tv.distributions.Categories(ways, rng.normal(size=(n, ways)))
    return tv.Categorical(rng.normal(size=(rows, n * ways)), ways, prior)


def coupled(n, seed=0):
    """A target that couples all of n numbers, and its slope."""
    mix = np.random.default_rng(seed).normal(size=(n, n)) / n**0.5
    return tv.Target(lambda z: np.sin(z @ mix).sum(axis=2) + 3, lambda z: np.cos(z @ mix) @ mix.T)


def over_states(name, q, target, objective=None):
    """Mean and variance of one that sees its noise by its sample alone, over all states: noise given each of them."""
    z, weights = q.nodes()  # N, B, K and N, B
    draws = tv.estimators.make(name)(q, target, q.noise_given(z, np.full(z.shape, 0.3)), objective).dparams
    mean = np.einsum("nb,nbp->bp", weights, draws)
    return mean, np.einsum("nb,nbp->bp", weights, (draws - mean) ** 2)


def at(name, temperature):
    return tv.estimators.make(name, temperature=temperature)


# --- straight-through -------------------------------------------------------------------------------------


@pytest.mark.parametrize("p, t", [*itertools.product([0.75, 0.5, 0.03, 0.999], [0.45, -2.0])])
def test_of_one_bit_straight_through_is_off_by_the_table(p, t):
    q, f = bit(p), bowl(t)
    mean, spread = check.exact_mean("straight_through", q, f, n_nodes=1)
    exact = check.exact_gradient(q, f)
    np.testing.assert_allclose(mean - exact, p * (1 - p) * (2 * p - 1), rtol=0, atol=1e-14)
    np.testing.assert_allclose(spread, 4 * (p * (1 - p)) ** 3, rtol=1e-11)  # p (1 - p) 2 (z - t): t cancels
    np.testing.assert_allclose(over_states("straight_through", q, f), (mean, spread), rtol=1e-11)


@pytest.mark.parametrize("q", [*map(bits, range(1, 9)), groups()], ids=lambda q: f"{q.name} {q.params.shape[1]}")
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_straight_throughs_mean_is_the_slope_of_the_mean_times_the_states_slopes(q, objective):
    f = coupled(q.params.shape[1])
    mean, spread = over_states("straight_through", q, f, objective)
    z, weights = q.nodes()
    slope, step = np.einsum("nb,nbk->bk", weights, f.grad(z)), 1e-5
    for k in range(q.params.shape[1]):  # dp/dlogits by central differences, the discrete KL's own gradient beside it
        aside = np.zeros_like(q.params)
        aside[:, k] = step
        dp = (q.like(q.params + aside).mean - q.like(q.params - aside).mean) / (2 * step)
        known = (slope * dp).sum(axis=1) + (objective.sampled_kl if objective else 0) * q.kl_grad()[:, k]
        np.testing.assert_allclose(mean[:, k], known, rtol=0, atol=1e-8)
    assert (spread > 0).all()
    assert np.abs(mean - check.exact_gradient(q, f, objective)).max() > 1e-5  # biased, and not by rounding
    if q.name == "binary" and q.params.shape[1] < 6:
        found = check.exact_mean("straight_through", q, f, objective, n_nodes=1)
        np.testing.assert_allclose(found, (mean, spread), rtol=1e-9, atol=1e-12)


# --- MuProp -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "q", [*map(bits, range(1, 9)), groups(), groups(3, 4)], ids=lambda q: f"{q.name} {q.mean.size}"
)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_muprops_mean_is_the_sum_over_all_states(q, objective):
    f = coupled(q.params.shape[1])
    mean, spread = over_states("muprop", q, f, objective)
    np.testing.assert_allclose(mean, check.exact_gradient(q, f, objective), rtol=0, atol=1e-12)
    plain = over_states("muprop", q, f)[1]
    np.testing.assert_allclose(spread, plain, rtol=0, atol=1e-12)  # the sampled KL, linear in z, adds none
    assert (spread < over_states("score_function", q, f, objective)[1]).all()


def test_muprop_of_a_linear_f_has_no_variance_and_of_a_bowl_the_closed_form():
    slope = np.array([1.0, -2.0, 0.5])
    linear = tv.Target(lambda z: z @ slope + 7, lambda z: np.broadcast_to(slope, z.shape))
    assert over_states("muprop", bits(3), linear)[1].max() < 1e-25
    p = 0.75  # what is left of (z - t)^2 is (z - p)^2, whatever t
    spread = over_states("muprop", bit(p), bowl())[1]
    moments = [sum(w * (b - p) ** n for b, w in ((1, p), (0, 1 - p))) for n in (6, 3)]
    np.testing.assert_allclose(spread, moments[0] - moments[1] ** 2, rtol=1e-12)


@pytest.mark.parametrize("name", [*BIASED, "muprop"])
def test_rows_and_samples_do_not_meet_and_evaluations_are_counted(name):
    q, f = bits(2, rows=2), coupled(2)
    eps = q.noise(np.random.default_rng(0), 3)
    draws = tv.estimators.make(name)(q, f, eps, SAMPLED)
    assert (f.evaluations, f.gradients) == ((4, 1) if name == "muprop" else (3, 3))
    for s, b in itertools.product(range(3), range(2)):
        alone = tv.estimators.make(name)(q.like(q.params[b : b + 1]), f, eps[s : s + 1, b : b + 1], SAMPLED)
        np.testing.assert_allclose(alone.dparams[0, 0], draws.dparams[s, b], rtol=1e-12)
    np.testing.assert_allclose(draws.f, Integrand(q, f, SAMPLED)(q.sample(eps)), rtol=1e-12)


# --- relaxations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.3, 0.4])
@pytest.mark.parametrize("q", [bits(3, rows=2), groups(rows=2)], ids=lambda q: q.name)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients_through_the_relaxation_are_central_differences(q, objective, temperature):
    f, eps = coupled(q.params.shape[1]), q.noise(np.random.default_rng(2), 4)
    soft, hard = (at(name, temperature)(q, f, eps, objective).dparams for name in RELAXED)
    z, step = q.sample(eps), 1e-5
    dz, beta = f.grad(z), objective.sampled_kl if objective else 0.0

    def values(params):
        """Each sample's l(y), and what the straight-through form takes the slope of, both at the noise of eps."""
        moved = q.like(params)
        y = moved.relaxed(moved.odds(eps), temperature)
        straight = ((dz + beta * q.log_ratio_grad(z)) * y).sum(axis=2) + beta * moved.log_prob(z)
        return Integrand(moved, f, objective)(y), straight

    for k in range(q.params.shape[1]):
        aside = np.zeros_like(q.params)
        aside[:, k] = step
        ends = zip(values(q.params + aside), values(q.params - aside))
        for found, (ahead, behind) in zip((soft, hard), ends):
            np.testing.assert_allclose(found[..., k], (ahead - behind) / (2 * step), rtol=0, atol=2e-8)


@pytest.mark.parametrize("p, t", [(0.75, 0.45), (0.2, 1.5)])
def test_as_the_temperature_falls_the_bias_goes_to_0_and_the_variance_grows(p, t):
    q, f = bit(p), bowl(t)
    exact, found = check.exact_gradient(q, f).item(), {}
    for name, temperature in itertools.product(RELAXED, (0.2, 0.1, 0.05, 0.02)):
        mean, spread = check.exact_mean(at(name, temperature), q, f, n_nodes=100)
        found[name, temperature] = mean.item() - exact, spread.item()
    for name in RELAXED:
        off, spread = np.transpose([found[name, temperature] for temperature in (0.2, 0.1, 0.05, 0.02)])
        assert (np.diff(np.abs(off)) < 0).all() and (np.diff(spread) > 0).all()
    off, spread = found["gumbel_softmax", 0.02]
    assert off / 0.02 == pytest.approx(p * (1 - p) * (2 * p - 1), rel=0.01)  # straight-through's bias, times it
    through = 4 * (1 / 20 - t / 6 + t * t / 6)  # the integral of f'(y)^2 y (1 - y) over y
    assert spread * 0.02 == pytest.approx(p * (1 - p) * through, rel=0.03)
    off, spread = found["straight_through_gumbel_softmax", 0.02]
    assert spread * 0.02 == pytest.approx(p * (1 - p) * (t**2 + (1 - t) ** 2) / 3, rel=0.03)


def test_where_the_straight_through_form_ends():
    p, f = 0.7, tv.Target(lambda z: (z**4).sum(axis=2), lambda z: 4 * z**3)  # slopes 0 and 4, a difference of 1
    off = {name: check.exact_mean(at(name, 0.01), bit(p), f, n_nodes=200)[0].item() - p * (1 - p) for name in RELAXED}
    assert abs(off["gumbel_softmax"]) < 0.01 and off[RELAXED[1]] == pytest.approx(p * (1 - p), rel=0.05)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_of_more_bits_the_bias_goes_to_0_too(n):
    q, f, exact = bits(n), coupled(n), check.exact_gradient(bits(n), coupled(n), SAMPLED)
    if n < 4:  # quadrature
        n_nodes = {2: 24, 3: 8}[n]
        off = [check.exact_mean(at("gumbel_softmax", t), q, f, SAMPLED, n_nodes=n_nodes)[0] - exact for t in (1, 0.1)]
        assert np.linalg.norm(off[1]) < 0.15 * np.linalg.norm(off[0])
    else:
        draws = []
        tiled = q.like(np.repeat(q.params, 10_000, axis=0))
        eps = tiled.noise(np.random.default_rng(n))
        draws = [at("gumbel_softmax", t)(tiled, f, eps, SAMPLED).dparams[0] for t in (1, 0.02)]
        means, errors = ([one(a) for a in draws] for one in (lambda a: a.mean(axis=0), lambda a: a.std(axis=0) / 100))
        assert (np.abs(means[0] - exact[0]) > 6 * errors[0]).any()
        assert (np.abs(means[1] - exact[0]) < 4 * errors[1] + 0.02).all()


def test_of_groups_the_bias_goes_to_0_too():
    q, f = groups(), coupled(6)
    exact, tiled = check.exact_gradient(q, f, SAMPLED), q.like(np.repeat(q.params, 20_000, axis=0))
    eps = tiled.noise(np.random.default_rng(0))
    for temperature, right in ((1.0, False), (0.05, True)):
        draws = at("gumbel_softmax", temperature)(tiled, f, eps, SAMPLED).dparams[0]
        off = np.abs(draws.mean(axis=0) - exact[0]) / (draws.std(axis=0) / 20_000**0.5)
        assert (off.max() < 4.5) == right


def test_the_sampled_kl_is_the_discrete_one():
    q, none = bits(1), tv.Target(lambda z: np.zeros(z.shape[:2]), np.zeros_like)
    objective = tv.ELBO(kl="monte_carlo")

    def densitys(q, target, eps, objective=None, rng=None):
        """The slope of log of the relaxed densities, q's over the prior's, along y: of a bit, in terms of its odds."""
        ratio = 0.0
        for sign, logits in ((1, q.logits), (-1, q.prior.logits)):
            ratio = ratio - sign * np.tanh((q.odds(eps) - logits) / 2)  # log of a logistic density
        return tv.Draws(target(q.sample(eps)), objective.sampled_kl * ratio)

    exact = check.exact_gradient(q, none, objective)
    np.testing.assert_allclose(exact, q.kl_grad())
    off = [
        np.abs(check.exact_mean(one, q, none, objective, n_nodes=150)[0] - exact).item()
        for one in (at("gumbel_softmax", 0.02), densitys)
    ]
    assert off[0] < 0.01 * abs(exact.item()) and off[1] > 0.2 * abs(exact.item())


# --- bias against temperature ---------------------------------------------------------------------------------


def test_bias_and_deviation_along_the_temperature_hold_what_quadrature_finds():
    q, f, temperatures = bit(), bowl(), [0.1, 0.25, 0.5, 0.75]
    found = problems.along_temperature(q, f, temperatures, n_draws=20_000)
    assert list(found) == ["gumbel_softmax", "straight_through_gumbel_softmax", "straight_through"]
    exact = check.exact_gradient(q, f).item()

    def errors(name, temperature):
        mean, spread = check.exact_mean(at(name, temperature), q, f, n_nodes=60)
        return abs(mean.item() - exact), spread.item() ** 0.5

    for name in RELAXED:
        known = np.array([errors(name, t) for t in temperatures])
        for curve, column in ((found[name].bias, known[:, 0]), (found[name].std, known[:, 1])):
            assert (curve[:, 1] * 0.98 <= column).all() and (column <= curve[:, 2] * 1.02).all()  # 95% each, and a bit
    flat = found["straight_through"]
    assert (flat.bias == flat.bias[0]).all() and flat.bias[0, 1] < 0.09375 < flat.bias[0, 2]
    assert problems.crossing(flat) == (np.inf,) * 3 and problems.crossing(flat, 100) == (0,) * 3

    def apart(temperature, n_samples=20):
        off, std = errors("gumbel_softmax", temperature)
        return off - std / n_samples**0.5

    with pytest.raises(TypeError, match="got dict: take an estimator's, by its name"):
        problems.crossing(found)
    where = problems.crossing(found["gumbel_softmax"], 20)
    assert where.low < scipy.optimize.brentq(apart, 0.2, 0.8, xtol=1e-3) < where.high < 1.3 * where.low
    assert problems.crossing(found["gumbel_softmax"], 200).value < where.value  # more samples: a lower temperature


def test_along_the_temperature_in_a_model_and_of_groups():
    vae, x, _ = small()
    (found,) = problems.along_temperature(
        vae.encode(x), vae.target(x), [0.2, 1.0], ("gumbel_softmax",), tv.ELBO(), 400
    ).values()
    assert found.bias.shape == found.std.shape == (2, 3) and found.std[0, 0] > found.std[1, 0]
    (off,) = problems.along_temperature(groups(), coupled(6), [0.5], ("muprop",), SAMPLED, 2_000).values()
    assert off.bias[0, 1] == 0  # unbiased: none is found


def test_what_does_not_fit_along_the_temperature_is_refused():
    for temperatures, estimators, error, message in (
        ([0.5, 0.5], ("gumbel_softmax",), ValueError, "temperatures must be .* each above the one before"),
        ([], ("gumbel_softmax",), ValueError, "temperatures must be one or more numbers"),
        ([0.0], ("gumbel_softmax",), ValueError, "each of temperatures must be .* greater than 0, got 0"),
        ([0.5], "gumbel_softmax", TypeError, "estimators must be a sequence of names"),
        ([0.5], ("warm",), ValueError, "estimator must be one of"),
    ):
        with pytest.raises(error, match=message):
            problems.along_temperature(bit(), bowl(), temperatures, estimators, n_draws=10)
    with pytest.raises(TypeError, match="q must be a tv.Binary or a tv.Categorical, .* got DiagonalGaussian"):
        problems.along_temperature(tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1))), bowl(), [0.5])


# --- what they say, and what the certificate says of them --------------------------------------------------------


@pytest.fixture
def short(monkeypatch):
    """A certificate of a quarter of its usual replicates, for their time."""
    for name, n in (("FEWEST", 10_000), ("PILOT", 2_000), ("CALLS", 5_000)):
        monkeypatch.setattr(check.certificate, name, n)
    return {"n_samples": (1,), "max_draws": 10_000}


def test_the_certificate_passes_muprop_and_convicts_the_others_with_the_size_of_their_bias(short):
    def sold_as_unbiased(q, target, eps, objective=None, rng=None):
        return tv.Draws(*straight_through(q, target, eps, objective, rng))

    def without_the_mean_field_term(q, target, eps, objective=None, rng=None):
        draws = muprop(q, target, eps, objective)
        return draws._replace(dparams=draws.dparams - straight_through(q, target, q.noise_given(0 * eps, eps)).dparams)

    problems = [check.problem("bit", bit(), bowl())]
    check.unbiased("muprop", problems, **short).assert_passed()
    for wrong in ("straight_through", sold_as_unbiased):
        certificate = check.unbiased(wrong, problems, **short)
        (found,) = certificate.failures
        assert abs(found.bias - 0.09375) < 4 * found.standard_error < 0.01
        assert certificate.biased == (wrong == "straight_through")
    for wrong in (at(name, 0.5) for name in RELAXED):
        known = check.exact_mean(wrong, bit(), bowl(), n_nodes=60)[0] - check.exact_gradient(bit(), bowl())
        (found,) = check.unbiased(wrong, problems, **short).failures
        assert abs(found.bias - known.item()) < 4 * found.standard_error < 0.25 * abs(known.item())
    assert not check.unbiased(without_the_mean_field_term, problems, **short).passed


def test_they_say_that_they_are_biased():
    q = bits(2)
    reports = variance.measure_target(q, coupled(2), [*BIASED, "muprop"], n_draws=50)
    assert {name for name, report in reports.items() if report.biased} == set(BIASED)
    assert reports["muprop"].evaluations == 2 and reports["gumbel_softmax"].gradients == 1
    with pytest.raises(ValueError, match="gumbel_softmax estimates the gradient of an average"):
        at("gumbel_softmax", 1.0)(q, coupled(2), q.noise(np.random.default_rng(0), 2), tv.ImportanceWeighted())


def test_a_comparison_says_which_are_biased():
    settings = compare.Settings(
        estimators=("leave_one_out", "gumbel_softmax"), epochs=1, hidden=(4,), n_latents=2, n_draws=40, n_samples=2
    )
    row = {"elbo": -20.0, "variance": [1.0, 0.9, 1.1], "ratio_to_best": [1.0, 0.9, 1.1]}
    row["variance_times_step_cost"] = [2.0, 1.8, 2.2]
    names = ("leave_one_out", "score_function", "gumbel_softmax")
    table = {name: {**row, **({"biased": True} if name in BIASED else {})} for name in names}
    points = [{"estimators": {name: {"encoder": row} for name in names}}]
    said = compare.words.verdict(table, points, settings)
    assert said["biased"].startswith("Biased by design: gumbel_softmax. A variance tells")
    assert "gumbel_softmax" not in said["cost"] and "score_function" in said["cost"]
    del table["score_function"], table["gumbel_softmax"]["biased"]
    assert set(compare.words.verdict(table, points, settings)) == {"variance", "bound", "cost"}
    table["gumbel_softmax"]["biased"] = True
    assert set(compare.words.verdict(table, points, settings)) == {"variance", "bound", "biased"}


@pytest.mark.parametrize("name", RELAXED)
def test_bad_temperatures_are_refused(name):
    for bad, error, message in (
        (0, ValueError, "temperature must be .* greater than 0, got 0"),
        (-1.0, ValueError, "temperature must be .* greater than 0, got -1"),
        ("cold", TypeError, "temperature must be a number, got 'cold'"),
        (lambda step: 1 - step, ValueError, "temperature at step 1 must be .* greater than 0, got 0"),
        (tv.schedules.Linear, TypeError, "temperature must be a number or a function of the step, got the class"),
    ):
        with pytest.raises(error, match=message):
            at(name, bad)


# --- in a model -----------------------------------------------------------------------------------------------


def small(prior=None, **options):
    vae = tv.VAE(6, 3, (5,), latents="binary", prior=prior, dtype="float64", seed=1, **options)
    vae.theta += 0.5 * np.random.default_rng(3).standard_normal(vae.theta.shape)
    x = np.random.default_rng(0).integers(0, 2, (4, 6)).astype("uint8")
    return vae, x, vae.noise(np.random.default_rng(1), 2, len(x))


@pytest.mark.parametrize("objective", [tv.ELBO(), SAMPLED])
def test_gumbel_softmax_trains_the_decoder_at_the_relaxed_sample_and_reports_at_the_sample(objective):
    vae, x, eps = small(prior="learnt_bits")
    relaxed = at("gumbel_softmax", 0.7)
    loss, grads = vae.loss_and_grads(x, eps, relaxed, objective)
    q, target = vae.encode(x), vae.target(x)
    y, z = q.relaxed(q.odds(eps), 0.7), q.sample(eps)
    np.testing.assert_array_equal(decoder_sample(relaxed, q, eps, z), y)
    assert decoder_sample("muprop", q, eps, z) is z
    known = Integrand(q, target, objective)(z).mean() + objective.kl_value(q)
    assert loss == pytest.approx(known, rel=1e-12)
    weights = np.full(z.shape[:2], 1 / z.shape[0] / len(x))
    for name, view in target.weight_gradients(y, weights).items():
        np.testing.assert_allclose(vae.views(grads)[name], view, rtol=1e-10, atol=1e-14)
    hard = vae.views(vae.loss_and_grads(x, eps, "score_function", objective)[1])
    soft = vae.views(grads)
    assert np.abs(soft["decoder.W0"] - hard["decoder.W0"]).max() > 1e-3
    prior = [name for name in soft if name.startswith("prior")]
    for name in prior:  # of the discrete KL
        np.testing.assert_allclose(soft[name], hard[name], rtol=1e-12)
    assert prior


@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-4), ("float64", 1e-11)])
@pytest.mark.parametrize("name", [*BIASED, "muprop"])
def test_both_steps_agree_on_groups(name, dtype, rtol):
    vae = tv.VAE(6, 2, (5,), latents=tv.distributions.OneHot(3), dtype=dtype, seed=1)
    x = np.random.default_rng(0).integers(0, 2, (4, 6)).astype("uint8")
    eps, found = vae.noise(np.random.default_rng(1), 2, len(x)), []
    for one in (step, step_numpy):
        grads = np.full_like(vae.theta, np.nan)
        found.append((one(vae, x, eps, tv.estimators.make(name), SAMPLED, None, grads), grads))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=rtol)
    assert np.linalg.norm(found[0][1] - found[1][1]) <= rtol * np.linalg.norm(found[1][1]) > 0


def test_in_a_vae_muprops_mean_is_the_slope_of_the_exact_loss():
    vae, x, _ = small()
    q, target = vae.encode(x), vae.target(x)
    exact = check.exact_gradient(q, target, SAMPLED)
    np.testing.assert_allclose(check.exact_mean("muprop", q, target, SAMPLED, n_nodes=1)[0], exact, atol=1e-12)
    off = check.exact_mean("straight_through", q, target, SAMPLED, n_nodes=1)[0] - exact
    assert 0.01 < np.linalg.norm(off) / np.linalg.norm(exact) < 1


def test_the_laboratory_measures_the_decoder_where_it_is_trained():
    vae, x, _ = small()
    options = {"n_draws": 40, "n_timings": 0, "blocks": ("decoder",)}
    both = variance.measure(vae, x, ["score_function", "gumbel_softmax"], **options)
    for name in both:
        alone = variance.measure(vae, x, [name], **options)[name]
        for part in ("mean", "variance"):
            np.testing.assert_array_equal(getattr(alone, part)["decoder"], getattr(both[name], part)["decoder"])
    off = both["score_function"].mean["decoder"] - both["gumbel_softmax"].mean["decoder"]
    assert np.abs(off).max() > 1e-3


def test_a_relaxation_says_what_a_gaussian_lacks(digits):
    vae = tv.VAE(64, 2, (4,))
    with pytest.raises(ValueError, match="gumbel_softmax needs q.odds, which a DiagonalGaussian does not have"):
        vae.loss_and_grads(digits[:3], vae.noise(np.random.default_rng(0), 1, 3), "gumbel_softmax")
    wrong = at("gumbel_softmax", 1.0)
    wrong.decoder_sample = lambda q, eps: eps[:1]
    vae, x, eps = small()
    with pytest.raises(ValueError, match="the decoder_sample of gumbel_softmax must have shape"):
        vae.loss_and_grads(x, eps, wrong)


def test_a_temperature_is_annealed_in_training_and_goes_on_from_a_checkpoint(tmp_path):
    x = np.random.default_rng(0).integers(0, 2, (20, 6)).astype("uint8")

    def run(epochs, path=None, last=0.5):
        vae = tv.VAE(6, 3, (5,), latents="binary", dtype="float64", seed=1)
        annealed = at("gumbel_softmax", tv.schedules.Linear(1.0, last, 8))
        tv.fit(vae, x, estimator=annealed, epochs=epochs, batch_size=5, checkpoint=path)
        return vae.theta, annealed

    whole, annealed = run(3)
    assert annealed.step == 13 and annealed.present == 0.5
    fixed, _ = run(3, last=1.0)
    assert np.abs(fixed - whole).max() > 1e-6
    run(2, tmp_path / "run.npz")
    rest, annealed = run(3, tmp_path / "run.npz")
    np.testing.assert_array_equal(rest, whole)
    assert annealed.step == 13 and repr(annealed).startswith("GumbelSoftmax(temperature=Linear(start=1.0")
    fresh = at("gumbel_softmax", annealed.temperature)
    fresh.restore(annealed.state())
    assert fresh.step == 13 and at("gumbel_softmax", 0.5).state() == {}
    fresh.restore({})
    assert fresh.step == 1 and fresh.present == 1.0
