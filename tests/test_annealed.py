"""Annealed importance sampling, both ways: on linear-Gaussian models against the exact log p(x), and at its edges."""

import io
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
from test_contracts import Bits
from test_imputation import linear_vae

import tinyvae as tv
from tinyvae.distributions import LearntNormal
from tinyvae.evaluate.chains import Ends, temperatures
from tinyvae.likelihoods import Categorical, ContinuousBernoulli, Gaussian
from tinyvae.machine.arena import Arena
from tinyvae.problems import LinearGaussian


def rng(seed=0):
    return np.random.default_rng(seed)


def make(n_latents, n_features=None, bad=0.3):
    """A linear-Gaussian model and its VAE, whose q is too wide and elsewhere."""
    D, draws = n_features or 2 * n_latents, rng(0)
    model = LinearGaussian(draws.standard_normal((D, n_latents)) / n_latents**0.5, draws.standard_normal(D), 0.6)
    return model, linear_vae(model, bad)


def off(log_ratios):
    """How far the mean of exp(log_ratios) (n,), which should be 1, is from it, in its own standard errors."""
    ratios = np.exp(log_ratios)
    assert ratios.std() < 1.5, "too heavy a tail to tell anything"
    return (ratios.mean() - 1) / (ratios.std(ddof=1) / np.sqrt(len(ratios)))


# --- against the exact log p(x) -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_latents, n_points", [(2, 40), (10, 30), pytest.param(50, 40, marks=pytest.mark.slow)])
def test_importance_sampling_within_its_error(n_latents, n_points):
    # Columns nearly at right angles, or no diagonal q is near the posterior; q is wider than the best, and beside it.
    draws, K = rng(0), n_latents
    W = 2 * np.linalg.qr(draws.standard_normal((2 * K, K)))[0] + 0.05 * draws.standard_normal((2 * K, K)) / K**0.5
    model = LinearGaussian(W, draws.standard_normal(2 * K), 0.6)
    vae = linear_vae(model)
    vae.params["encoder.b0"][K:] += K**-0.5
    vae.params["encoder.b0"][:K] += 0.3 / K
    x = model.sample(n_points, rng(1))
    found = tv.evaluate.log_likelihood(vae, x, 1000, rng(2))
    missed = (found.value - model.log_likelihood(x)) / found.error
    assert found.error.mean() > 0.01  # there is something to estimate
    assert abs(off(found.value - model.log_likelihood(x))) < 4
    assert 0.4 < (missed**2).mean() < 1.9, missed


@pytest.mark.parametrize("start, schedule", [("prior", "sigmoid"), ("encoder", "sigmoid"), ("prior", "linear")])
@pytest.mark.parametrize("n_latents, n_steps", [(2, 10), (10, 40)])
def test_both_bounds_are_exact_on_average(n_latents, n_steps, start, schedule):
    # Few steps, so that there is something to estimate: the weights are unbiased all the same, of p(x) and of 1 / p(x).
    # The variance of backward weights from a q of twice the posterior's is infinite: a q that is a little too wide.
    model, vae = make(n_latents, bad=0.1)
    found = tv.evaluate.sandwich(vae, 40, rng(3), 8, n_steps, start=start, schedule=schedule)
    exact = model.log_likelihood(found.x)
    lower, upper = found.lower - exact, exact - found.upper
    # 12 comparisons: beyond 4 in 1 run of 1,300, if the means were normal
    assert max(abs(off(lower)), abs(off(upper))) < 4, (off(lower), off(upper))
    assert np.all(lower < 3) and np.all(upper < 3) and lower.std() > 0.02 and upper.std() > 0.02
    means = found.means()
    assert means["lower"][0] < exact.mean() + 3 * lower.std() and means["gap"][0] > -3 * means["gap"][1]
    assert means["gap"][0] == pytest.approx(means["upper"][0] - means["lower"][0])
    assert np.all((found.acceptance > 0.3) & (found.acceptance <= 1))


@pytest.mark.slow
@pytest.mark.parametrize("start", ["prior", "encoder"])
def test_fifty_latents(start):
    model, vae = make(50, 100)
    found = tv.evaluate.sandwich(vae, 30, rng(3), 16, 200 if start == "encoder" else 300, start=start)
    exact = model.log_likelihood(found.x)
    assert max(abs(off(found.lower - exact)), abs(off(exact - found.upper))) < 4
    means = found.means()
    assert -3 * means["gap"][1] < means["gap"][0] < 1
    assert means["lower"][0] - 0.3 < exact.mean() < means["upper"][0] + 0.3
    assert 0.55 < found.acceptance.mean() < 0.8


def test_the_error_is_the_value_s_and_more_steps_make_it_smaller():
    model, vae = make(2)
    x = model.sample(40, rng(1))
    errors = []
    for n_steps in (10, 80):
        found = tv.evaluate.annealed(vae, x, rng(2), 32, n_steps)
        missed = (found.value - model.log_likelihood(x)) / found.error
        # 40 points: the mean square of unit normal numbers is 1 +- .22; of 32 chains' own errors, a little more
        assert 0.4 < (missed**2).mean() < 2.1 and abs(off(found.value - model.log_likelihood(x))) < 4
        errors.append(found.error.mean())
        np.testing.assert_allclose(found.error, np.sqrt((32 / found.effective - 1) / 31), rtol=1e-12)
    assert errors[1] < 0.6 * errors[0]
    assert found.mean()[1] == pytest.approx(found.value.std(ddof=1) / np.sqrt(40))


@pytest.mark.parametrize("start", ["prior", "encoder"])
def test_slopes_are_those_of_the_densities(start, numeric_gradient):
    vae = tv.VAE(6, 2, (5,), dtype="float64", seed=1)
    vae.prior = LearntNormal(np.array([0.5, -0.5]), np.array([0.3, -0.4]))
    x, z = (rng().random((3, 6)) < 0.5).astype("uint8"), rng(1).standard_normal((1, 3, 2))
    ends = Ends(vae, x, vae.encode(x) if start == "encoder" else None, Arena())
    for i in range(2):
        slope = numeric_gradient(lambda: ends.look(z).logs[i].sum(), z)
        np.testing.assert_allclose(ends.look(z).slopes[i], slope, atol=1e-7)
    log_p = vae.prior.log_prob(z)
    np.testing.assert_allclose(ends.look(z).logs[1], log_p - vae.target(x)(z), rtol=1e-13)
    np.testing.assert_allclose(ends.look(z).logs[0], ends.q.log_prob(z) if ends.q else log_p, rtol=1e-13)


@pytest.mark.parametrize("start", ["prior", "encoder"])
def test_a_learnt_prior_is_where_chains_start_and_what_they_end_in(start):
    model, vae = make(2)
    mu, logvar = np.array([1.5, -0.5]), np.array([0.7, -1.0])
    vae.prior = LearntNormal(mu, logvar)
    same = LinearGaussian(model.W * np.exp(logvar / 2), model.m + model.W @ mu, model.s)
    found = tv.evaluate.sandwich(vae, 60, rng(3), 8, 20, start=start)
    exact = same.log_likelihood(found.x)
    assert max(abs(off(found.lower - exact)), abs(off(exact - found.upper))) < 4
    assert found.lower.std() > 0.02


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_of_one_step_it_is_importance_sampling_and_of_few_still_unbiased(n_steps):
    model, vae = make(1, 2, bad=0.1)
    x = np.repeat(model.sample(1, rng(1)), 150, axis=0)
    found = tv.evaluate.annealed(vae, x, rng(2), 10, n_steps, start="encoder")
    assert abs(off(found.value - model.log_likelihood(x))) < 4
    if n_steps == 1:
        assert np.all(found.acceptance == 0) and found.passes == 10 + 10  # chains, and those of the preliminary run


# --- intervals ------------------------------------------------------------------------------------------------


def covers(low, high, exact):
    return float(np.mean((low < exact) & (exact < high)))


def test_coverage_of_importance_sampling_over_200_data_sets():
    # Data sets of 20 points from the model. Intervals of a point hold its log p(x), those of a set's mean the mean of
    # log p(x) under the model: 95% of them, where many samples are effective.
    model, vae = make(2, 5, bad=0.2)
    x = model.sample(200 * 20, rng(1))
    found, exact = tv.evaluate.log_likelihood(vae, x, 100, rng(2)), model.log_likelihood(x)
    assert np.median(found.effective) > 25
    share = covers(found.value - 1.96 * found.error, found.value + 1.96 * found.error, exact)
    assert 0.925 < share < 0.96, share
    C = model.W @ model.W.T + model.s**2 * np.eye(5)
    entropy = 0.5 * (5 * np.log(2 * np.pi) + np.linalg.slogdet(C)[1] + 5)
    sets = [tv.evaluate.LogLikelihood(*(column[i : i + 20] for column in found)).mean() for i in range(0, 4000, 20)]
    mean, error = np.transpose(sets)
    share = covers(mean - 2.09 * error, mean + 2.09 * error, -entropy)  # Student's t, 19 degrees of freedom
    assert 0.95 - 4 * 0.0154 <= share, share  # of 200, .0154 is the standard error


def test_intervals_of_a_narrow_q_hold_less_than_they_say():
    # What the docstring warns of: no sample comes from where the mass is, and the weights look alike.
    model, vae = make(2, 5, bad=0.0)
    vae.params["encoder.b0"][2:] -= 3
    x = model.sample(500, rng(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, exact = tv.evaluate.log_likelihood(vae, x, 100, rng(2)), model.log_likelihood(x)
    assert covers(found.value - 1.96 * found.error, found.value + 1.96 * found.error, exact) < 0.85
    assert np.mean(found.value < exact) > 0.8


def test_coverage_of_annealing_over_200_data_sets():
    # A point each: 16 chains tell their own spread less well than many samples do.
    model, vae = make(2)
    x = model.sample(200, rng(1))
    found, exact = tv.evaluate.annealed(vae, x, rng(2), 16, 25), model.log_likelihood(x)
    share = covers(found.value - 1.96 * found.error, found.value + 1.96 * found.error, exact)
    assert 0.86 < share < 0.99, share


@pytest.mark.slow
def test_coverage_of_the_sandwich_over_200_data_sets():
    # From the lower bound less its margin to the upper one and its: holds the model's mean log p(x) in 95% or more.
    model, vae = make(2)
    found = tv.evaluate.sandwich(vae, 200 * 10, rng(2), 8, 12)
    C = model.W @ model.W.T + model.s**2 * np.eye(4)
    exact = -0.5 * (4 * np.log(2 * np.pi) + np.linalg.slogdet(C)[1] + 4)
    held = []
    for i in range(0, 2000, 10):
        means = found._replace(**{name: getattr(found, name)[i : i + 10] for name in ("lower", "upper")}).means()
        (lower, low), (upper, high) = means["lower"], means["upper"]
        held.append(lower - 2.26 * low < exact < upper + 2.26 * high)  # Student's t, 9 degrees of freedom
    assert np.mean(held) > 0.95 - 4 * 0.0154, np.mean(held)


# --- other likelihoods --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "likelihood",
    [
        "bernoulli",
        Gaussian(variance="per_pixel"),
        *(
            pytest.param(one, marks=pytest.mark.slow)
            for one in (ContinuousBernoulli, Gaussian(), Categorical(levels=4))
        ),
    ],
    ids=lambda one: str(getattr(one, "name", one)),
)
def test_agrees_with_importance_sampling_under_every_density(likelihood):
    vae = tv.VAE(6, 2, (5,), likelihood=likelihood, seed=1)
    vae.decoder.theta *= 1.5
    found = tv.evaluate.sandwich(vae, 12, rng(1), 8, 25)
    many = tv.evaluate.log_likelihood(vae, found.x, 3000, rng(2))
    assert found.x.dtype == "float32" and many.error.mean() < 0.2 and found.acceptance.min() > 0.3
    # 10 comparisons, of Student's t with 11 degrees of freedom: beyond 5 in 1 run of 250
    assert max(abs(off(found.lower - many.value)), abs(off(many.value - found.upper))) < 5


# --- at its edges -------------------------------------------------------------------------------------------


def test_is_the_same_for_any_number_of_workers_and_its_generator_moves_on(monkeypatch):
    vae = tv.VAE(20, 3, (8,), seed=0)
    x = (rng().random((70, 20)) < 0.5).astype("uint8")
    found = []
    for n in ("1", "3"):
        monkeypatch.setenv("TINYVAE_WORKERS", n)
        stream = rng(1)
        pair = [tv.evaluate.annealed(vae, x, stream, 20, 12), tv.evaluate.annealed(vae, x, stream, 20, 12)]
        found.append(pair)
        assert not np.array_equal(pair[0].value, pair[1].value)
    assert all(np.array_equal(a, b) for pair in zip(*found) for a, b in zip(*pair))


def test_chains_beyond_a_chunk_count(monkeypatch):
    model, vae = make(1, 2)
    monkeypatch.setattr(sys.modules["tinyvae.evaluate.annealed"], "ROWS", 30)
    x = model.sample(3, rng(1))
    found = tv.evaluate.annealed(vae, x, rng(2), 70, 12)
    assert np.all(np.abs(found.value - model.log_likelihood(x)) < 4 * found.error) and np.all(found.effective > 20)
    trial = 2 * 30 + 10  # as many as each chunk's chains
    assert found.passes == (70 + trial) * (1 + 11 * 2)  # every transition but the first has two steps


def test_memory_is_bounded_by_a_chunk(monkeypatch):
    monkeypatch.setenv("TINYVAE_WORKERS", "1")
    vae = tv.VAE(100, 4, (20,))

    def peak(n_points, n_chains, n_steps):
        x = np.zeros((n_points, 100), "uint8")
        tracemalloc.start()
        tv.evaluate.annealed(vae, x, rng(), n_chains, n_steps, n_leapfrog=1)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2, 300, 3)  # what is made once
    small = peak(60, 16, 6)
    assert peak(180, 16, 6) < 1.3 * small and peak(1, 1500, 3) < 1.4 * small and peak(31, 16, 40) < 1.3 * small


def test_a_bar_on_a_terminal_only(monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    vae, x = tv.VAE(6, 2, (5,)), np.zeros((40, 6), "uint8")
    monkeypatch.setattr("sys.stderr", Terminal())
    tv.evaluate.annealed(vae, x, rng(), 4, 12)
    assert "1.76k/1.76k" in sys.stderr.getvalue()  # 4 chains, 40 points, 11 moves
    monkeypatch.undo()
    tv.evaluate.annealed(vae, x, rng(), 4, 12)
    assert capsys.readouterr().err == ""


def test_temperatures_go_from_0_to_1():
    for schedule in ("sigmoid", "linear"):
        betas = temperatures(20, schedule)
        assert betas[0] == 0 and betas[-1] == 1 and np.all(np.diff(betas) > 0) and len(betas) == 21
        np.testing.assert_allclose(betas + betas[::-1], 1, atol=1e-15)
    assert temperatures(20)[1] < 0.02 and temperatures(1).tolist() == [0, 1]


@pytest.mark.parametrize("part", ["encoder.b1", "decoder.b1"])
def test_what_is_not_finite_is_named(part):
    vae = tv.VAE(6, 2, (5,))
    vae.params[part][:] = np.nan
    what = "the KL term" if part[0] == "e" else "the log weight"
    with pytest.raises(tv.NonFiniteLoss, match=what):
        tv.evaluate.annealed(vae, np.zeros((3, 6), "uint8"), rng(), 4, 5, start="encoder")


def test_a_decoder_that_bends_sharply_is_no_obstacle():
    # Variances of exp(-30 z): a trajectory that goes too far meets infinities, and is refused.
    vae = tv.VAE(6, 1, (), likelihood=Gaussian(variance="per_pixel"), seed=0)
    vae.params["decoder.W0"][:] *= 40
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        found = tv.evaluate.annealed(vae, rng().standard_normal((5, 6)).astype("float32"), rng(1), 8, 60)
    assert np.isfinite(found.value).all() and np.all(found.acceptance > 0.05)


def test_few_effective_chains_warn():
    model, vae = make(10)
    x = model.sample(10, rng(1))
    with pytest.warns(UserWarning, match=r"worthless for .* of 64 chains are effective: take more steps"):
        tv.evaluate.annealed(vae, x, rng(2), 64, 2)


def test_what_does_not_fit_is_refused():
    vae, x = tv.VAE(6, 2, (5,)), np.zeros((3, 6), "uint8")
    annealed, sandwich = tv.evaluate.annealed, tv.evaluate.sandwich
    for bad, message in (
        (lambda: annealed(vae, x[:, :2], rng()), "x must have shape"),
        (lambda: annealed(vae, x, rng(), n_chains=0), "n_chains must be at least 1"),
        (lambda: annealed(vae, x, rng(), n_steps=0), "n_steps must be at least 1"),
        (lambda: annealed(vae, x, rng(), n_leapfrog=0), "n_leapfrog must be at least 1"),
        (lambda: annealed(vae, x, rng(), start="q"), "start must be one of 'prior', 'encoder', got 'q'"),
        (lambda: annealed(vae, x, rng(), schedule="cubic"), "schedule must be one of 'sigmoid', 'linear'"),
        (lambda: sandwich(vae, 0, rng()), "n must be at least 1"),
        (lambda: annealed(tv.VAE(6, 2, likelihood="squared_error"), x / 1.0, rng()), "squared_error"),
    ):
        with pytest.raises(ValueError, match=message):
            bad()
    for bad, message in (
        (lambda: annealed(vae, x, 0), "rng must be a numpy.random.Generator"),
        (lambda: annealed(tv.VAE(6, 2, latents=Bits), x, rng()), r"needs q.path, which '.*' does not have: take"),
        (lambda: annealed(tv.Autoencoder(6, 2), x, rng()), "annealed importance sampling is of a model whose latents"),
    ):
        with pytest.raises(TypeError, match=message):
            bad()
