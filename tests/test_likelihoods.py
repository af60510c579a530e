"""Each likelihood integrates to one, draws and slopes as it says, is saved, and refuses what it must."""

import dataclasses
import os
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.special
from scipy import stats

import tinyvae as tv
from tinyvae import likelihoods
from tinyvae.kernels import continuous_bernoulli as kernels
from tinyvae.likelihoods import Categorical, ContinuousBernoulli, Gaussian, SquaredError
from tinyvae.likelihoods.gaussian import FLOOR
from tinyvae.machine import team
from tinyvae.models.step import step, step_numpy

GAUSSIANS = [Gaussian(v, m) for v in ("shared", "isotropic", "per_pixel", 0.1) for m in ("linear", "sigmoid")]
ALL = ["bernoulli", "continuous_bernoulli", "squared_error", "categorical", Categorical(3), *GAUSSIANS]
DENSITIES = [one for one in ALL if one not in ("bernoulli", "squared_error")]
LOGITS = np.array([-1e30, -1e5, -745.0, -40.0, -1.0, -0.5, -0.49, -1e-8, -1e-30, 0.0, 1e-3, 0.5, 36.0, 1e5, 1e30])


def by_name(value):
    return re.sub(", floor=.*", ")", repr(value)) if dataclasses.is_dataclass(value) else None


each = pytest.mark.parametrize("likelihood", ALL, ids=by_name)
each_density = pytest.mark.parametrize("likelihood", DENSITIES, ids=by_name)


def small(likelihood, dtype="float64", n_features=5, n=6, seed=0):
    """A VAE, data that fit it, and noise."""
    rng = np.random.default_rng(seed)
    vae = tv.VAE(n_features, 2, (4,), likelihood=likelihood, dtype=dtype, seed=1)
    vae.theta += 0.3 * rng.standard_normal(vae.theta.shape).astype(dtype)
    n_levels = getattr(vae.likelihood, "levels", 17)
    x = (rng.integers(0, n_levels, (n, n_features)) / (n_levels - 1)).astype(dtype)
    return vae, x, vae.noise(rng, 3, n)


# --- densities, their samples and their slopes --------------------------------------------------------------

LEGENDRE = np.polynomial.legendre.leggauss(400)


@each_density
def test_it_integrates_or_sums_to_one_and_has_its_mean(likelihood):
    vae, _, _ = small(likelihood, n_features=1)
    if isinstance(vae.likelihood, Categorical):
        grid = np.linspace(0, 1, vae.likelihood.levels)
        weights = np.ones_like(grid)
    else:
        nodes, weights = LEGENDRE
        low, high = (0, 1) if likelihood == "continuous_bernoulli" else (-30, 31)
        grid, weights = low + (high - low) * (nodes + 1) / 2, weights * (high - low) / 2
    for z in np.random.default_rng(0).standard_normal((3, 1, 2)):
        p = vae.decode(np.tile(z, (len(grid), 1)))
        density = np.exp(p.log_prob(grid[:, None])) * weights
        assert density.sum() == pytest.approx(1, abs=1e-9)
        assert density @ grid == pytest.approx(p.mean[0, 0], abs=1e-9)


def spread(p):
    """The variance of each of a row's pixels."""
    if hasattr(p, "variance"):
        return p.variance[0]
    if hasattr(p, "probabilities"):
        return p.probabilities[0] @ np.linspace(0, 1, p.logits.shape[2]) ** 2 - p.mean[0] ** 2
    if isinstance(p, ContinuousBernoulli):
        return 1 / p.logits[0] ** 2 - 0.25 / np.sinh(p.logits[0] / 2) ** 2
    return p.mean[0] * (1 - p.mean[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("likelihood", [*DENSITIES, "bernoulli"], ids=by_name)
def test_its_samples_have_its_moments(likelihood, dtype):
    n = 10_000
    p = small(likelihood, dtype)[0].decode(np.ones((n, 2), dtype))
    x = p.sample(np.random.default_rng(0))
    assert x.shape == (n, 5) and x.dtype == ("uint8" if likelihood == "bernoulli" else dtype)
    off = (x - p.mean[0].astype("float64")) ** 2
    # 20 cases of 10 numbers: a correct one fails once in 700 seeds.
    assert (np.abs((x - p.mean[0].astype("float64")).mean(axis=0)) < 4.5 * np.sqrt(spread(p) / n)).all()
    assert (np.abs(off.mean(axis=0) - spread(p)) < 4.5 * off.std(axis=0) / np.sqrt(n) + 1e-6).all()


@each
def test_the_gradient_its_own_parameters_included_is_the_slope_of_the_loss(likelihood):
    vae, x, eps = small(likelihood)

    def loss_and_grads(theta):
        vae.theta = theta
        return vae.loss_and_grads(x, eps)

    theta = vae.theta.copy()
    _, grads = loss_and_grads(theta)
    steps = np.eye(len(theta)) * 1e-5
    numeric = [(loss_and_grads(theta + h)[0] - loss_and_grads(theta - h)[0]) / 2e-5 for h in steps]
    np.testing.assert_allclose(grads, numeric, rtol=0, atol=1e-7 * np.abs(numeric).max())


@each
def test_the_step_in_passes_is_the_plain_step(likelihood):
    for dtype, digits in (("float32", 1e-5), ("float64", 1e-12)):
        vae, x, eps = small(likelihood, dtype, n_features=30, n=13)
        found = []
        for one in (step, step_numpy):
            grads = np.full_like(vae.theta, np.nan)
            loss = one(vae, x, eps, tv.estimators.reparameterization, tv.ELBO(), None, grads)
            found.append((*loss, *grads / np.abs(grads).max()))
        np.testing.assert_allclose(found[0], found[1], rtol=digits, atol=digits)


@pytest.mark.skipif(not team.usable(), reason="passes are compiled")
@each
def test_it_runs_in_the_decoders_pass(likelihood, monkeypatch):
    ran, run = [], team.run
    monkeypatch.setattr(team, "run", lambda *arguments: ran.append(arguments) or run(*arguments))
    vae, x, eps = small(likelihood)
    step(vae, x, eps, tv.estimators.reparameterization, tv.ELBO(), None, np.empty_like(vae.theta))
    assert "losses" in {call[0].__name__ for _, *calls in ran for call in calls}


@each
def test_the_loss_alone_is_minus_the_log_density(likelihood):
    vae, x, _ = small(likelihood)
    outputs, _ = vae.decoder.propagate(np.random.default_rng(0).standard_normal((12, 2)))
    before, losses, together = outputs.copy(), np.empty(12), np.empty(12)
    vae.likelihood.loss(outputs, x, losses, **vae.own)
    np.testing.assert_array_equal(outputs, before)
    vae.likelihood.loss_and_slope(outputs, x, together, **vae.own)
    np.testing.assert_allclose(together, losses, rtol=1e-13)
    p = vae.likelihood(before, **vae.own)
    if likelihood == "squared_error":
        np.testing.assert_allclose(losses, ((np.tile(x, (2, 1)) - p.mean) ** 2).sum(axis=1), rtol=1e-13)
    else:
        np.testing.assert_allclose(losses, -p.log_prob(np.tile(x, (2, 1))), rtol=1e-12)


# --- one by one ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variance", ["shared", "isotropic", "per_pixel", 0.3])
def test_a_gaussians_log_density_is_scipys(variance):
    vae, x, _ = small(Gaussian(variance, floor=0.01))
    p = vae.decode(np.random.default_rng(0).standard_normal((6, 2)))
    exact = stats.norm.logpdf(x, p.mean, np.sqrt(p.variance)).sum(axis=1)
    np.testing.assert_allclose(p.log_prob(x), exact, rtol=1e-12)
    if vae.own:
        np.testing.assert_allclose(p.variance[0], 0.01 + np.exp(vae.own["logvar"]) * np.ones(5), rtol=1e-12)
        assert vae.own["logvar"].shape == (5 if variance == "shared" else 1,)
    assert vae.likelihood.outputs == (2 if variance == "per_pixel" else 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("logvar", [-1e30, -1e4, -100.0, 0.0, 100.0, 1e4, 1e30])
def test_a_learnt_variance_has_a_floor_and_no_log_variance_overflows(logvar, dtype):
    outputs, x = np.array([[0.25, logvar]], dtype), np.array([[0.5]], dtype)
    loss, exact = np.empty(1, dtype), np.logaddexp(np.log(FLOOR), logvar)
    Gaussian("per_pixel").loss_and_slope(outputs, x, loss)
    expected = 0.5 * (0.0625 * np.exp(-exact) + exact + np.log(2 * np.pi))
    np.testing.assert_allclose(loss, expected, rtol=1e-5 if dtype == "float32" else 1e-12)
    share = scipy.special.expit(logvar - np.log(FLOOR))
    slopes = [-0.25 * np.exp(-exact), 0.5 * (1 - 0.0625 * np.exp(-exact)) * share]
    np.testing.assert_allclose(outputs[0], slopes, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-30)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("variance", ["shared", "per_pixel"])
def test_the_lowest_floor_leaves_a_variance_of_one_as_it_is(variance, dtype):
    outputs, x, loss = np.array([[0.25, 0.0]], dtype), np.array([[0.5]], dtype), np.empty(1, dtype)
    outputs, own = (outputs, {}) if variance == "per_pixel" else (outputs[:, :1].copy(), {"logvar": outputs[0, 1:]})
    Gaussian(variance, floor=1e-30).loss_and_slope(outputs, x, loss, **own)
    assert loss[0] == pytest.approx(-stats.norm.logpdf(0.25), rel=1e-5) and outputs[0, 0] == pytest.approx(-0.25, 1e-4)
    with pytest.raises(ValueError, match="floor must be finite and at least 1e-30, got 1e-300"):
        Gaussian(variance, floor=1e-300)  # of which float32 makes 0, and 1 over it infinity


def test_a_pixel_that_never_changes_does_not_run_away():
    vae = tv.VAE(3, 1, (), likelihood="gaussian", dtype="float64")
    x = np.random.default_rng(0).random((50, 3))
    x[:, 1] = 0.25
    tv.fit(vae, x, epochs=300, batch_size=50, optimizer=tv.Adam(0.1))
    variance = vae.decode(np.zeros((1, 1))).variance[0]
    assert FLOOR < variance[1] < 2e-3 < variance[0] and np.isfinite(tv.evaluate.bound(vae, x).loss)
    vae.own["logvar"][:] = -1000
    np.testing.assert_allclose(vae.decode(np.zeros((1, 1))).variance, FLOOR)


def test_the_constant_and_mean_of_the_continuous_bernoulli_are_the_published_ones():
    parameter = np.array([1e-4, 0.01, 0.1, 0.4])
    p = ContinuousBernoulli(scipy.special.logit(parameter)[:, None])
    x = np.full((4, 1), 0.3)
    log_c = p.log_prob(x) - (0.3 * np.log(parameter) + 0.7 * np.log1p(-parameter))
    np.testing.assert_allclose(np.exp(log_c), [9.212083, 4.688898, 2.746531, 2.027326], rtol=3e-7)
    np.testing.assert_allclose(p.mean[:, 0], [0.108475, 0.207418, 0.330120, 0.466303], rtol=0, atol=6e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_continuous_bernoulli_is_stable_around_one_half(dtype):
    from fractions import Fraction

    # log(sinh(m/2) / (m/2)) = m^2/24 - m^4/2880 + ..., by exact arithmetic on a longer series of sinh.
    for m in (1e-30, 1e-12, 1e-8, 1e-4, 0.01, 0.1, 0.3, 0.49999, 0.5, 0.50001, 1.0, 3.0):
        l, half = np.array([[m]], dtype), Fraction(float(np.array(m, dtype))) / 2
        term, total, slope = Fraction(1), Fraction(0), Fraction(0)
        for k in range(1, 40):  # sinh(h) / h = 1 + h^2 / 6 + ..., and its slope in h
            term = term * half * half / (2 * k * (2 * k + 1))
            total, slope = total + term, slope + 2 * k * term / half
        log_sinhc, slope = np.log1p(float(total)), float(slope / (1 + total)) / 2
        for sign, x in ((1, 0.25), (-1, 0.25), (1, 1.0), (-1, 0.5)):
            found, loss = sign * l, np.empty(1, dtype)
            ContinuousBernoulli.loss_and_slope(found, np.array([[x]], dtype), loss)
            exact = log_sinhc - sign * (x - 0.5) * float(l[0, 0])
            assert abs(loss[0] - exact) <= 4 * np.finfo(dtype).eps * max(1e-30, min(1, m)) + 1e-45
            assert abs(found[0, 0] - (sign * slope - (x - 0.5))) <= 4 * np.finfo(dtype).eps


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_mean_of_the_continuous_bernoulli_says_nothing_of_an_overflow(dtype):
    most = np.finfo(dtype).max / 2
    logits = np.array([[-most, -1e25, 1e25, most]], dtype)
    np.testing.assert_allclose(ContinuousBernoulli(logits).mean, [[1 / most, 1e-25, 1, 1]], rtol=1e-6)
    losses = np.empty(1, dtype)
    kernels.continuous_bernoulli_loss_numpy(logits[:, 1:3], np.array([[0.0, 1.0]], dtype), losses)
    assert losses[0] == pytest.approx(-2 * np.log(1e25), rel=1e-6)


@pytest.mark.parametrize("x", [0.0, 0.25, 1.0])
def test_the_continuous_bernoulli_takes_logits_of_any_size(x):
    p = ContinuousBernoulli(LOGITS[:, None])
    m, c = np.abs(LOGITS), np.where(LOGITS > 0, 1 - x, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.where(m < 1e-20, 0, m * c + np.log(-np.expm1(-m) / m))
    np.testing.assert_allclose(-p.log_prob(np.full((len(m), 1), x)), exact, rtol=1e-7, atol=1e-15)
    assert (np.diff(p.mean[:, 0]) >= 0).all() and p.mean[[0, 9, -1], 0] == pytest.approx([1e-30, 0.5, 1], rel=1e-12)
    drawn = p.sample(np.random.default_rng(0))
    assert ((drawn >= 0) & (drawn <= 1)).all()


def test_a_draw_of_the_continuous_bernoulli_inverts_its_distribution_function():
    logits = np.repeat([-30.0, -1.0, -1e-9, 0.0, 1e-9, 2.0, 50.0], 5)[:, None]
    x = ContinuousBernoulli(logits).sample(np.random.default_rng(0))
    u = np.random.default_rng(0).random(logits.shape)
    with np.errstate(invalid="ignore"):
        below = np.where(np.abs(logits) < 1e-6, x, np.expm1(logits * x) / np.expm1(logits))
    np.testing.assert_allclose(np.where(logits > 0, 1 - below, below), u, rtol=0, atol=1e-8)


def test_a_categorical_is_a_softmax_over_levels_whatever_their_size():
    rng = np.random.default_rng(0)
    logits = rng.choice([-1e30, -800.0, -1.0, 0.0, 2.0, 700.0, 1e30], (50, 3, 4))
    k = rng.integers(0, 4, (50, 3))
    p = Categorical(4)(logits.reshape(50, 12))
    log_p = scipy.special.log_softmax(logits, axis=2)
    exact = np.take_along_axis(log_p, k[..., None], axis=2)[..., 0].sum(axis=1)
    np.testing.assert_allclose(p.log_prob(k / 3), exact, rtol=1e-13)
    np.testing.assert_allclose(p.mean, np.exp(log_p) @ np.arange(4) / 3, rtol=1e-13)
    slope = logits.reshape(50, 12).copy()
    p_levels = scipy.special.softmax(logits, axis=2)
    Categorical(4).loss_and_slope(slope, k / 3, np.empty(50))
    np.testing.assert_allclose(slope.reshape(50, 3, 4), p_levels - np.eye(4)[k], rtol=0, atol=1e-15)


@pytest.mark.parametrize("levels", [2, 17, 256, 65_536])
def test_float32_tells_all_grey_levels_apart(levels):
    k = np.unique(np.linspace(0, levels - 1, 300).round().astype(int))
    x = (k / (levels - 1)).astype("float32")[None]
    likelihood = Categorical(levels)
    assert likelihood.check("x", x, len(k)) is x
    if levels < 300:
        outputs = np.zeros((1, len(k) * levels), "float32")
        likelihood.loss_and_slope(outputs, x, np.empty(1, "float32"))
        assert (outputs.reshape(len(k), levels).argmin(axis=1) == k).all()


def test_the_squared_error_is_a_gaussian_of_variance_one_half_but_for_a_constant():
    (one, x, eps), (other, _, _) = small("squared_error"), small(Gaussian(0.5))
    (loss, grads), (of_other, of_others) = (vae.loss_and_grads(x, eps) for vae in (one, other))
    assert of_other - loss == pytest.approx(5 / 2 * np.log(np.pi), rel=1e-12)
    np.testing.assert_allclose(grads, of_others, rtol=1e-12)
    exact = ((x - one.decode(np.zeros((6, 2))).mean) ** 2).sum(axis=1)  # no half, no root, a sum over the pixels
    np.testing.assert_allclose(one.target(x)(np.zeros((1, 6, 2)))[0], exact, rtol=1e-13)


def test_the_squared_error_is_refused_by_name_where_a_density_is_asked_for():
    vae, x, _ = small("squared_error")
    p = vae.decode(np.zeros((6, 2)))
    for what, ask in (
        ("log_prob", lambda: p.log_prob(x)),
        ("sample", lambda: p.sample(np.random.default_rng(0))),
        ("log_likelihood", lambda: vae.log_likelihood(x, 10, np.random.default_rng(0))),
        ("impute", lambda: likelihoods.require_density(SquaredError, "impute")),
    ):
        with pytest.raises(ValueError, match=f"{what} asks for a density.*'squared_error' is not.*variance=0.5"):
            ask()
    for name in likelihoods.names():
        if name != "squared_error":
            likelihoods.require_density(likelihoods.resolve(name), "impute")


# --- options, files, support ---------------------------------------------------------------------------------


@each
def test_a_saved_model_is_loaded_without_being_handed_its_likelihood(likelihood, tmp_path):
    vae, x, _ = small(likelihood)
    vae.save(tmp_path / "model.npz")
    again = tv.VAE.load(tmp_path / "model.npz")
    assert again.likelihood == vae.likelihood and again.config == vae.config
    assert tv.VAE(**vae.config).likelihood == vae.likelihood == vae.with_dtype("float32").likelihood
    np.testing.assert_array_equal(again.theta, vae.theta)
    np.testing.assert_array_equal(again.reconstruct(x), vae.reconstruct(x))


def test_a_name_is_the_likelihood_with_its_defaults():
    assert likelihoods.names() == ["bernoulli", "continuous_bernoulli", "gaussian", "categorical", "squared_error"]
    assert likelihoods.resolve("gaussian") == likelihoods.resolve(Gaussian) == Gaussian("shared", "linear")
    assert likelihoods.resolve("categorical") == Categorical(17)
    assert tv.VAE(4, 2, (3,), likelihood=Gaussian()).config["likelihood"] == "gaussian"
    options = {"name": "gaussian", "variance": 0.5, "mean": "linear", "floor": FLOOR}
    assert tv.VAE(4, 2, (3,), likelihood=Gaussian(1 / 2)).config["likelihood"] == options


@pytest.mark.parametrize(
    "make, error, message",
    [
        (
            lambda: Gaussian("learnt"),
            ValueError,
            "variance must be one of 'shared', 'isotropic', 'per_pixel', or a num",
        ),
        (lambda: Gaussian(0), ValueError, "variance must be finite and greater than 0, got 0"),
        (lambda: Gaussian(None), TypeError, "variance must be a number, got None"),
        (lambda: Gaussian(mean="tanh"), ValueError, "mean must be one of 'linear', 'sigmoid', got 'tanh'"),
        (lambda: Gaussian(floor=0.0), ValueError, "floor must be finite and at least 1e-30, got 0"),
        (lambda: Categorical(1), ValueError, "levels must be at least 2, got 1"),
        (lambda: Categorical(17.0), TypeError, "levels must be an integer, got 17.0"),
        (lambda: Categorical(70_000), ValueError, "levels must be at most 65,536, got 70,000"),
        (
            lambda: likelihoods.resolve({"name": "gaussian", "std": 1}),
            TypeError,
            "has the options variance, mean, floor",
        ),
        (lambda: likelihoods.resolve({"name": "bernoulli", "p": 1}), TypeError, "'bernoulli' has no options, got 'p'"),
        (lambda: likelihoods.resolve({"variance": 1}), ValueError, "likelihood must be one of 'bernoulli'.*got None"),
        (lambda: Gaussian()(np.zeros((2, 3))), TypeError, "logvar must be float32 or float64"),
    ],
)
def test_an_option_that_does_not_fit_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "likelihood, x, message",
    [
        (
            "bernoulli",
            [[1.5]],
            r"x must lie in \[0, 1\], got values from 1.5 to 1.5; rescale it.*likelihood 'gaussian'",
        ),
        ("continuous_bernoulli", [[-0.5]], r"x must lie in \[0, 1\], got .*likelihood 'gaussian'"),
        ("categorical", [[1.5]], r"x must lie in \[0, 1\], got .*likelihood 'gaussian'"),
        ("categorical", [[0.2]], r"x must hold the 17 grey levels 0, 1/16, .*got 0.2 at index \(0, 0\); levels=6 fits"),
        ("categorical", [[0.123]], "'continuous_bernoulli' and 'gaussian' take any grey"),
        ("gaussian", [[np.inf]], "x must be finite"),
        ("squared_error", [[np.nan]], "x must be finite"),
        ("gaussian", np.zeros((0, 1)), "x must hold at least one row"),
    ],
)
def test_a_value_outside_the_support_is_told_what_fits(likelihood, x, message):
    vae = tv.VAE(1, 1, (2,), likelihood=likelihood)
    for ask in (vae.check_data, lambda x: tv.fit(vae, x, epochs=1), lambda x: tv.evaluate.bound(vae, x)):
        with pytest.raises(ValueError, match=message.replace("x must", "(x|validation) must")):
            ask(np.array(x))


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int64"])
def test_whole_numbers_are_taken_where_the_support_holds_them(dtype):
    x = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    for likelihood in ("gaussian", "squared_error", *(["categorical", "continuous_bernoulli"] * (dtype != "int64"))):
        vae = tv.VAE(3, 1, (2,), likelihood=likelihood)
        tv.fit(vae, x, epochs=1)
        assert vae.check_data(x).dtype == "float32"
    assert tv.VAE(3, 1, (2,), likelihood="gaussian").check_data(200 * x.astype("uint8")).max() == 200


@each
def test_it_trains_and_is_measured(likelihood):
    vae, x, _ = small(likelihood, "float32", n=40)
    before = tv.evaluate.bound(vae, x, 20).loss
    tv.fit(vae, x, epochs=40, batch_size=20, optimizer=tv.Adam(1e-2), estimator="leave_one_out", n_samples=4)
    assert tv.evaluate.bound(vae, x, 20).loss < before
    report = tv.variance.measure(vae, x[:5], ["score_function"], n_draws=3, n_timings=0)["score_function"]
    assert np.isfinite(report.variance["decoder"]).all()
    if likelihood != "squared_error":
        assert np.isfinite(vae.log_likelihood(x[:5], 20, np.random.default_rng(0))).all()


def test_a_run_in_two_parts_is_a_run_in_one_and_another_option_another_run(tmp_path):
    x = np.random.default_rng(0).random((20, 5), dtype="float32")

    def run(epochs, likelihood=Gaussian("shared"), **options):
        vae = tv.VAE(5, 2, (4,), likelihood=likelihood)
        tv.fit(vae, x, epochs=epochs, batch_size=10, **options)
        return vae.theta

    whole, path = run(4), tmp_path / "run.npz"
    run(2, checkpoint=path)
    np.testing.assert_array_equal(run(4, "gaussian", checkpoint=path), whole)
    with pytest.raises(ValueError, match=r"likelihood is Gaussian\(variance='shared'.* Gaussian\(variance='per_pixel'"):
        run(4, Gaussian("per_pixel"), checkpoint=path)


def test_the_slopes_of_the_series_are_those_of_the_normaliser():
    m = np.linspace(0.01, 2, 400)
    numeric = (kernels.log_normaliser_numpy(m + 1e-5) - kernels.log_normaliser_numpy(m - 1e-5)) / 2e-5
    np.testing.assert_allclose(kernels.log_normaliser_slope_numpy(m), numeric, rtol=0, atol=1e-10)


# --- probabilistic PCA --------------------------------------------------------------------------------------


@pytest.fixture
def frey_faces():
    """In [0, 1]."""
    file = Path(os.environ.get("TINYVAE_DATA", "nowhere"), "frey_faces.npy")
    if not file.exists():
        pytest.skip("TINYVAE_DATA names no folder with frey_faces.npy")
    return np.load(file) / 255


@pytest.mark.slow
def test_a_linear_vae_with_one_learnt_variance_is_ppca_on_the_frey_faces(frey_faces):
    # The best likelihood and its plane by an eigendecomposition (Tipping & Bishop 1999): 555.8278 nats at two latents.
    x, n_latents = frey_faces, 2
    mean, n_features = x.mean(axis=0), x.shape[1]
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    rest = values[:-n_latents].mean()
    log_det = np.log(values[-n_latents:]).sum() + (n_features - n_latents) * np.log(rest)
    best = -0.5 * (n_features * np.log(2 * np.pi) + log_det + n_features)
    assert best == pytest.approx(555.8278, abs=1e-4)

    vae, optimizer = tv.VAE(n_features, n_latents, (), likelihood=Gaussian("isotropic"), dtype="float64"), tv.Adam(1)
    vae.params["decoder.b0"][:] = mean
    for optimizer.rate, epochs in ((1e-2, 40), (3e-3, 30), (1e-3, 30), (3e-4, 30)):
        for _ in tv.train(vae, x, optimizer=optimizer, epochs=epochs, batch_size=200):
            pass
    W, b = vae.params["decoder.W0"], vae.params["decoder.b0"]
    v = vae.decode(np.zeros((1, n_latents))).variance[0, 0]
    exact = stats.multivariate_normal(b, W.T @ W + v * np.eye(n_features)).logpdf(x).mean()
    assert best - 0.5 < exact <= best
    assert best - 0.5 < -tv.evaluate.bound(vae, x, 10).loss < best
    cosines = np.linalg.svd(np.linalg.qr(W.T)[0].T @ vectors[:, -n_latents:])[1]
    assert np.degrees(np.arccos(cosines.min())) < 1
