"""Noise schemes: normal one by one, even together; unbiased, worth their while, and refused where they would bias."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import kstest, norm

import tinyvae as tv
from tinyvae import check, noise, variance
from tinyvae.estimators import leave_one_out, reparameterization, score_function
from tinyvae.noise import antithetic, independent, sobol

SCHEMES = [independent, antithetic, sobol]


def scheme_estimator(estimator, scheme, seed=0):
    """`estimator` on the scheme's noise instead of the noise that comes in: for `check` and `variance`."""
    rng = np.random.default_rng(seed)

    def replaced(q, target, eps, objective=None, _=None):
        return estimator(q, target, scheme(rng, *eps.shape, eps.dtype), objective)

    replaced.__name__ = f"{scheme.__name__} {estimator.__name__}"
    return replaced


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_gives_the_shape_the_dtype_and_the_same_bits_for_a_seed(scheme, dtype):
    one, two, other = (scheme(np.random.default_rng(seed), 8, 5, 3, dtype) for seed in (0, 0, 1))
    assert one.shape == (8, 5, 3) and one.dtype == dtype and np.isfinite(one).all()
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_sample_alone_is_standard_normal(scheme):
    # Sample by sample, over data points, which are independent. Six tests a scheme, at a level of 0.001 together.
    eps = scheme(np.random.default_rng(0), 4, 5_000, 2, "float64")
    for sample in (0, 1, 3):
        for latent in (0, 1):
            assert kstest(eps[sample, :, latent], norm.cdf).pvalue > 0.001 / 6


def test_sobols_moments():
    # Over all samples of independent points: the standard error comes from the points' own means.
    eps = sobol(np.random.default_rng(1), 8, 5_000, 3, "float64")
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        means = (eps**power).mean(axis=0)  # B, K
        assert (np.abs(means.mean(axis=0) - moment) < 4 * means.std(axis=0) / np.sqrt(5_000)).all()
    cross = (eps[..., 0] * eps[..., 1]).mean(axis=0)
    assert abs(cross.mean()) < 4 * cross.std() / np.sqrt(5_000)


def test_sobol_points_are_one_in_each_cell():
    u = ndtr(sobol(np.random.default_rng(0), 16, 50, 4, "float64"))  # S, B, K
    np.testing.assert_array_equal(
        np.sort((16 * u).astype(int), axis=0), np.broadcast_to(np.arange(16)[:, None, None], u.shape)
    )
    for columns, rows in ((2, 8), (4, 4), (8, 2)):  # the first two latents: one in each box of area 1/16
        cells = (columns * u[..., 0]).astype(int) * rows + (rows * u[..., 1]).astype(int)
        np.testing.assert_array_equal(np.sort(cells, axis=0), np.broadcast_to(np.arange(16)[:, None], cells.shape))


def test_data_points_do_not_depend_on_each_other():
    for scheme in (antithetic, sobol):
        rng = np.random.default_rng(0)
        pairs = np.stack([scheme(rng, 2, 2, 1, "float64")[0, :, 0] for _ in range(2_000)])
        assert abs(np.corrcoef(pairs.T)[0, 1]) < 4 / np.sqrt(2_000)


def test_antithetic_noise_is_pairs():
    eps = antithetic(np.random.default_rng(0), 6, 3, 2, "float64")
    np.testing.assert_array_equal(eps[3:], -eps[:3])


# --- unbiased where it is allowed, and worth it -----------------------------------------------------------

SMOOTH = [p for p in check.default_problems() if p.name in ("quadratic", "cosine", "coupled, sampled KL")]


@pytest.mark.parametrize("estimator", [reparameterization, score_function])
def test_antithetic_pairs_are_exactly_unbiased(estimator):
    def paired(q, target, eps, objective=None, rng=None):
        return estimator(q, target, np.concatenate([eps, -eps]), objective)

    for p in SMOOTH:
        mean, _ = check.exact_mean(paired, p.q, p.target, p.objective, n_nodes=60)
        np.testing.assert_allclose(mean, p.gradient, rtol=0, atol=1e-10)


@pytest.mark.parametrize("estimator", [reparameterization, score_function])
@pytest.mark.parametrize("scheme", [antithetic, sobol])
def test_dependent_noise_is_unbiased_by_sampling(scheme, estimator):
    # 16 coordinates of three problems, 2 and 8 samples: 32 tests at a level of 0.001 together, 20,000 replicates each.
    reach = norm.ppf(1 - 0.001 / 64)
    for p in SMOOTH:
        for n_samples in (2, 8):
            drawn = variance.measure_target(
                p.q, p.target, [scheme_estimator(estimator, scheme)], p.objective, 20_000, n_samples, n_timings=0
            )
            (report,) = drawn.values()
            mean, spread = (
                np.concatenate([part["mu"], part["logvar"]], axis=1) for part in (report.mean, report.variance)
            )
            assert (np.abs(mean - p.gradient) < reach * np.sqrt(spread / 20_000) + 1e-12).all(), (p.name, n_samples)


@pytest.mark.parametrize("estimator", [reparameterization, score_function])
@pytest.mark.parametrize("scheme, factor", [(sobol, 0.25), (antithetic, 0.8)])
def test_even_noise_lowers_the_variance_on_a_smooth_target(scheme, factor, estimator):
    # (z + 3)^2: nearly linear around mu = 1, where pairs cancel what is odd; 16 samples.
    q = tv.DiagonalGaussian(np.ones((1, 2)), np.full((1, 2), -1.0))
    target = tv.Target(lambda z: ((z + 3) ** 2).sum(axis=2), lambda z: 2 * (z + 3))
    even, plain = scheme_estimator(estimator, scheme), scheme_estimator(estimator, independent, seed=1)
    reports = variance.measure_target(q, target, [even, plain], n_draws=3_000, n_samples=16, n_timings=0)
    a, b = (sum(reports[e.__name__].total[block].variance.high for block in ("mu", "logvar")) for e in (even, plain))
    assert a < factor * b


def test_antithetic_pairs_bias_leave_one_out():
    # For a quadratic, 8 becomes 10.7: with 4 samples in pairs, S / (S - 1) times too long.
    def paired(q, target, eps, objective=None, rng=None):
        return leave_one_out(q, target, np.concatenate([eps, -eps]), objective)

    one = tv.DiagonalGaussian(np.ones((1, 1)), np.zeros((1, 1)))
    target = tv.Target(lambda z: ((z + 3) ** 2).sum(axis=2))
    mean, _ = check.exact_mean(paired, one, target, n_samples=2, n_nodes=12)
    assert mean[0, 0] == pytest.approx(8 * 4 / 3, rel=1e-12) and round(mean[0, 0], 1) == 10.7
    honest, _ = check.exact_mean(leave_one_out, one, target, n_samples=4, n_nodes=6)
    assert honest[0, 0] == pytest.approx(8, rel=1e-12)


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", tv.estimators.names())
@pytest.mark.parametrize("scheme", SCHEMES)
def test_only_baselines_from_other_samples_refuse_dependent_noise(scheme, name):
    estimator = tv.estimators.make(name)
    if scheme is not independent and name in ("leave_one_out", "optimal_constant", "dreg", "vimco"):
        with pytest.raises(ValueError, match=f"{name} .*; {scheme.__name__} noise would bias it"):
            noise.require_compatible(scheme, estimator, tv.ELBO())
    else:
        noise.require_compatible(scheme, estimator, tv.ELBO())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_importance_weighted_bound_refuses_dependent_noise(scheme):
    for name in ("reparameterization", "dreg", "vimco"):
        if scheme is independent:
            noise.require_compatible(scheme, tv.estimators.make(name), tv.ImportanceWeighted())
        else:
            with pytest.raises(ValueError, match=f"defined for independent samples; with {scheme.__name__} noise"):
                noise.require_compatible(scheme, tv.estimators.make(name), tv.ImportanceWeighted())


def test_sizes_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="n_samples must be even, got 3"):
        antithetic(rng, 3, 2, 2)
    for n in (3, 6, 12):
        with pytest.raises(ValueError, match=f"n_samples must be 1, 2, 4, ..., got {n}"):
            sobol(rng, n, 2, 2)
    with pytest.raises(ValueError, match="noise must be one of 'independent', 'antithetic', 'sobol', got 'halton'"):
        noise.resolve("halton")
    assert noise.resolve("sobol") is sobol and noise.resolve(sobol) is sobol


# --- in training ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["antithetic", "sobol", lambda rng, s, b, k, dtype: antithetic(rng, s, b, k, dtype)])
def test_a_scheme_trains_a_vae(scheme, digits):
    vae, seen = tv.VAE(64, 2, hidden=(8,)), []

    def spy(q, target, eps, objective, rng):
        seen.append(eps.copy())
        return reparameterization(q, target, eps, objective)

    records = list(
        tv.train(vae, digits[:70], spy, n_samples=4, epochs=2, batch_size=30, noise=scheme, optimizer=tv.Adam(1e-2))
    )
    assert records[-1].loss < records[0].loss and [e.shape for e in seen] == 2 * [(4, 30, 2), (4, 30, 2), (4, 10, 2)]
    if scheme != "sobol":
        assert all((eps[2:] == -eps[:2]).all() for eps in seen)
    assert len({eps.tobytes() for eps in seen}) == 6


def test_independent_noise_is_written_into_one_buffer(digits, monkeypatch):
    places, step = set(), tv.VAE.step

    def spy(vae, x, eps, *rest):
        places.add(eps.ctypes.data)
        return step(vae, x, eps, *rest)

    monkeypatch.setattr(tv.VAE, "step", spy)
    list(tv.train(tv.VAE(64, 2, hidden=(8,)), digits[:90], epochs=3, batch_size=30))
    assert len(places) == 1


WRONG = [
    (dict(noise="halton"), ValueError, "noise must be one of"),
    (dict(noise="antithetic"), ValueError, "n_samples must be even, got 1"),
    (dict(noise="sobol", n_samples=3), ValueError, "n_samples must be 1, 2, 4"),
    (dict(noise="antithetic", n_samples=4, estimator="leave_one_out"), ValueError, "antithetic noise would bias it"),
    (dict(noise="sobol", n_samples=4, estimator="dreg"), ValueError, "sobol noise would bias it"),
    (
        dict(noise=lambda rng, s, b, k, dtype: np.zeros((s, b), dtype)),
        ValueError,
        r"noise's eps must have shape \(1, 1, 2\), got \(1, 1\)",
    ),
    (
        dict(noise=lambda rng, s, b, k, dtype: np.zeros((s, b, k))),
        TypeError,
        "noise's eps must be float32, got float64",
    ),
]


@pytest.mark.parametrize("options, error, message", WRONG)
def test_noise_that_does_not_fit_is_refused_at_the_call(options, error, message, digits):
    with pytest.raises(error, match=message):
        tv.train(tv.VAE(64, 2, hidden=(8,)), digits, **options)
