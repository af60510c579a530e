"""q refined for its data point, and the two gaps: on a linear-Gaussian model against the closed form."""

import numpy as np
import pytest
from test_imputation import linear_vae

import tinyvae as tv
from tinyvae.problems import LinearGaussian


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    return LinearGaussian(rng.standard_normal((5, 2)), rng.standard_normal(5), 0.7)


@pytest.fixture(scope="module")
def x(model):
    return model.sample(60, np.random.default_rng(1))


@pytest.fixture(scope="module")
def refined(model, x):
    return tv.evaluate.refine(linear_vae(model, 0.5), x, np.random.default_rng(2))


def test_refining_reaches_the_best_diagonal_q(model, x, refined):
    best, start = model.best(x), linear_vae(model, 0.5).encode(x)
    assert np.abs(start.mu - best.mu).max() > 1
    assert np.abs(refined.mu - best.mu).max() < 0.25 * best.std.min()
    missed = model.elbo(best, x) - model.elbo(refined, x)
    assert missed.min() > -1e-12 and missed.mean() < 0.005


def test_the_gaps_are_the_closed_forms(model, x, refined):
    vae = linear_vae(model, 0.5)
    gaps = tv.evaluate.gaps(vae, x, 1000, np.random.default_rng(3), refined)
    bound = model.elbo(refined, x)
    amortization, approximation = bound - model.elbo(vae.encode(x), x), model.log_likelihood(x) - bound
    for found, error, exact in (
        (gaps.amortization, gaps.amortization_error, amortization),
        (gaps.approximation, gaps.approximation_error, approximation),
    ):
        off = (found - exact) / error
        # 60 points: the mean square of unit normal numbers is 1 +- sqrt(2 / 60), and each error is known to a part
        assert 0.4 < (off**2).mean() < 1.8 and abs(off.mean()) < 4 / np.sqrt(len(x)), off
        assert np.all(error < 0.1 * exact + 0.1)
    value, error = gaps.means()["approximation"]
    known = 0.5 * (np.log(np.diag(model.M)).sum() - np.linalg.slogdet(model.M)[1])  # of the best diagonal q
    assert abs(value - known) < 4 * error and error < 0.02


def test_a_q_that_holds_the_posterior_has_no_gap_left(x):
    # Columns at right angles: the posterior is diagonal, refining ends there, and every weight is p(x).
    W = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 2)))[0] * [1.0, 2.0]
    model = LinearGaussian(W, np.zeros(5), 0.7)
    vae = linear_vae(model, 0.5)
    q = tv.evaluate.refine(vae, x, np.random.default_rng(0))
    mean, _ = model.posterior(x)
    # The path derivative has no variance there: steps of Adam whose gradient vanishes.
    assert np.abs(q.mu - mean).max() < 0.02
    gaps = tv.evaluate.gaps(vae, x[:20], 1000, np.random.default_rng(0), q.like(q.params[:20]))
    assert np.all(np.abs(gaps.approximation) < 5 * gaps.approximation_error + 1e-3)
    exact = model.log_likelihood(x) - model.elbo(vae.encode(x), x)
    assert gaps.amortization.mean() == pytest.approx(exact[:20].mean(), abs=4 * gaps.amortization_error.mean())


def test_a_single_point_has_the_error_of_its_samples(model, x):
    vae = linear_vae(model, 0.5)
    gaps = tv.evaluate.gaps(vae, x[:1], 50, np.random.default_rng(0))
    for name, (value, error) in gaps.means().items():
        assert value == getattr(gaps, name)[0] and error == getattr(gaps, f"{name}_error")[0] > 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_vae_of_bits_is_refined_and_stays_as_it_was(dtype, digits, monkeypatch):
    vae = tv.VAE(64, 3, (8,), dtype=dtype, seed=0)
    x, theta = tv.datasets.binarize(digits[:60], np.random.default_rng(0)), vae.theta.copy()
    found = []
    for n in ("1", "3"):
        monkeypatch.setenv("TINYVAE_WORKERS", n)
        q = tv.evaluate.refine(vae, x, np.random.default_rng(1), n_steps=15)
        found.append((q.params, *tv.evaluate.gaps(vae, x, 60, np.random.default_rng(2), q)))
    assert all(np.array_equal(a, b) for a, b in zip(*found)) and np.array_equal(vae.theta, theta)
    assert q.params.dtype == dtype and (found[0][1] > 0).mean() > 0.9  # the gain in the bound


def test_what_does_not_fit_is_refused(model, x):
    vae, rng = linear_vae(model), np.random.default_rng(0)
    with pytest.raises(ValueError, match="x must be finite"):
        tv.evaluate.refine(vae, x * np.nan, rng)
    with pytest.raises(ValueError, match=r"refined.params must have shape \(60, 4\), got \(2, 4\)"):
        tv.evaluate.gaps(vae, x, 10, rng, vae.encode(x[:2]))
    with pytest.raises(ValueError, match="n_samples must be at least 2"):
        tv.evaluate.gaps(vae, x, 1, rng)
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        tv.evaluate.gaps(vae, x)
