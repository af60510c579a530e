"""Rate, distortion, information, all codes against the prior: against closed forms, integrals, and each other."""

import io
import itertools
import sys
import tracemalloc

import numpy as np
import pytest
import scipy.integrate
from test_imputation import linear_vae

import tinyvae as tv
from tinyvae.evaluate import aggregate, rate_distortion
from tinyvae.machine import progress
from tinyvae.problems import LinearGaussian

pytestmark = pytest.mark.filterwarnings("ignore:the information")
HALF_LOG_2 = np.log(2) / 2


def rng(seed=0):
    return np.random.default_rng(seed)


def coded(mu, logvar, latents="gaussian", **options):
    """A VAE in float64 whose codes are the given ones, and its data: unit vectors, one for each code."""
    mu, other = np.atleast_2d(mu), np.atleast_2d(logvar)
    n, K = mu.shape
    vae = tv.VAE(n, K, (), dtype="float64", latents=latents, **options)
    vae.params["encoder.W0"][:] = np.concatenate([mu, other], axis=1)
    vae.params["encoder.b0"][:] = 0
    return vae, np.eye(n)


def normal(z, mu, logvar):
    return np.exp(-0.5 * ((z - mu) ** 2 / np.exp(logvar) + logvar + np.log(2 * np.pi)))


def by_integrals(mu, logvar, prior=(0.0, 0.0)):
    """R, I and the KL of codes of one latent, each by adaptive quadrature."""

    def integral(density, other):
        def f(z):
            p = density(z)
            return p * np.log(p / other(z)) if p > 1e-250 else 0.0

        return scipy.integrate.quad(f, -12, 12, points=sorted(set(mu)), limit=300)[0]

    def one(i):
        return lambda z: normal(z, mu[i], logvar[i])

    def q(z):
        return np.mean([one(i)(z) for i in range(len(mu))])

    def p(z):
        return normal(z, *prior)

    R, I = (np.mean([integral(one(i), other) for i in range(len(mu))]) for other in (p, q))
    return R, I, integral(q, p)


def values(found):
    return np.array([found.rate.value, found.information.value, found.aggregate_kl.value])


# --- known codes --------------------------------------------------------------------------------------


def test_two_narrow_codes_are_those_of_the_lesson():
    vae, x = coded([[-0.95], [0.95]], np.full((2, 1), np.log(0.0975)))
    found = tv.evaluate.rates(vae, x, method="quadrature")
    exact = by_integrals([-0.95, 0.95], [np.log(0.0975)] * 2)
    assert np.round(exact, 3).tolist() == np.round(values(found), 3).tolist() == [1.164, 0.690, 0.474]
    drawn = tv.evaluate.rates(vae, x, rng(), n_samples=5000)
    for estimate, value in ((drawn.information, exact[1]), (drawn.aggregate_kl, exact[2])):
        assert abs(estimate.value - value) < 4 * estimate.error < 0.04


CODES = [[-1.0], [-0.4], [0.1], [0.3], [1.5]], [[-1.0], [-2.0], [0.0], [-1.5], [-0.5]]


@pytest.mark.parametrize("method", ["quadrature", "monte_carlo"])
@pytest.mark.parametrize("prior", [None, "learnt_normal"])
def test_agrees_with_integrals(method, prior):
    vae, x = coded(*CODES, prior=prior)
    if prior:
        vae.params["prior.mu"][:], vae.params["prior.logvar"][:] = 0.5, 0.7
    exact = by_integrals(*np.ravel(CODES).reshape(2, -1), (0.5, 0.7) if prior else (0, 0))
    assert exact[0] == pytest.approx(exact[1] + exact[2], abs=1e-9)
    found = tv.evaluate.rates(vae, x, rng(1), 5000, method=method)
    errors = np.array([found.rate.error, found.information.error, found.aggregate_kl.error])
    assert np.all(np.abs(values(found) - exact) < 4 * errors + 1e-9) and errors.max() < 0.02
    assert found.information_low == pytest.approx(found.information, rel=1e-12)
    assert found.information_high.value > found.information.value
    in_order = found.rate, found.distortion, found.information, found.aggregate_kl
    for mean, one in zip(found.points.mean(axis=0), in_order):
        assert mean == pytest.approx(one.value, abs=4 * errors.max() + 1e-9)


def test_nodes_that_miss_narrow_codes_are_told_in_the_error():
    # Narrow codes within wide ones lie between the nodes of both rules, which then agree on what is not so.
    for seed in (24, 35, 97, 144):  # off by .06, .06, .03 and .06, where the two rules are 2e-3 to 5e-7 apart
        draws = rng(seed)
        n = int(draws.integers(2, 8))
        codes = draws.standard_normal((n, 1)), draws.uniform(-9, 0, (n, 1))
        vae, x = coded(*codes)
        exact, found = by_integrals(*np.ravel(codes).reshape(2, -1)), tv.evaluate.rates(vae, x, method="quadrature")
        assert abs(found.information.value - exact[1]) <= found.information.error + 1e-6, seed
        assert abs(found.information.value - exact[1]) > 0.02 and found.information_low == found.information


def test_equal_codes_say_nothing_and_codes_far_apart_say_all():
    vae, x = coded(np.zeros((5, 2)), np.zeros((5, 2)))
    for options in ({"method": "quadrature"}, {"rng": rng()}, {"rng": rng(), "n_codes": 2}):
        found = tv.evaluate.rates(vae, x, **options)
        assert np.abs(values(found)).max() < 1e-6 and abs(found.information_high.value) < 1e-12
    vae, x = coded(20.0 * np.arange(5)[:, None], np.zeros((5, 1)))
    for options in ({"method": "quadrature"}, {"rng": rng()}):
        found = tv.evaluate.rates(vae, x, **options)
        assert found.information == pytest.approx((np.log(5), 0), abs=1e-9)
        assert found.aggregate_kl.value == pytest.approx(found.rate.value - np.log(5), abs=found.aggregate_kl.error * 4)
        assert found.information_high.value > 100  # without its own code, a latent is nowhere


def test_some_of_the_codes_give_bounds_on_either_side():
    vae, x = coded(*CODES)
    n, n_codes = len(x), 2
    exact = tv.evaluate.rates(vae, x, method="quadrature")
    subsets = [list(some) for some in itertools.combinations(range(n), n_codes + 1)]
    low = np.mean([tv.evaluate.rates(vae, x[some], method="quadrature").information.value for some in subsets])
    found = tv.evaluate.rates(vae, x, rng(), n_samples=2000, n_codes=n_codes)
    assert abs(found.information_low.value - low) < 4 * found.information_low.error
    assert low < exact.information.value - 0.05
    assert found.information.value - 4 * found.information.error > exact.information.value
    assert found.aggregate_kl.value + 4 * found.aggregate_kl.error < exact.aggregate_kl.value
    assert found.information_high.value > found.information.value
    # Leaving a code out of all: the exact mean over z of the other codes' mixture, which two of them overstate.
    assert found.information_high.value + 4 * found.information_high.error > exact.information_high.value
    close = tv.evaluate.rates(vae, x, rng(), n_samples=2000, n_codes=3)
    assert (
        low < close.information_low.value < exact.information.value < close.information.value < found.information.value
    )


def test_the_errors_are_those_of_the_draws():
    vae, x = coded(rng(3).standard_normal((12, 2)), rng(4).standard_normal((12, 2)) - 2)
    exact = tv.evaluate.rates(vae, x, method="quadrature")
    for n_samples in (4, 600):  # one chunk, and more
        runs = [tv.evaluate.rates(vae, x, rng(seed), n_samples) for seed in range(60 if n_samples == 4 else 15)]
        for name in ("distortion", "information", "aggregate_kl", "information_high"):
            off = np.array([getattr(run, name).value - getattr(exact, name).value for run in runs])
            off /= np.array([getattr(run, name).error for run in runs])
            # mean squares of 60 or 20 numbers near normal: 1 +- .18 or .32
            assert 0.45 < np.mean(off**2) < 2.3 and abs(off.mean()) < 4 / np.sqrt(len(off)), (name, off)


# --- linear-Gaussian models -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["quadrature", "monte_carlo"])
def test_where_the_aggregate_is_the_prior_the_rate_is_information(method):
    # z ~ N(0, 1), x | z ~ N(z, 1), the exact posterior, and data that are as N(0, 2) as points can be.
    vae = linear_vae(LinearGaussian(np.ones((1, 1)), np.zeros(1), 1.0))
    x = np.sqrt(2) * tv.distributions.StandardNormal().quantile((np.arange(300)[:, None] + 0.5) / 300)
    found = tv.evaluate.rates(vae, x, rng(), method=method)
    off = np.abs(values(found) - [HALF_LOG_2, HALF_LOG_2, 0])
    assert np.all(off < 0.003 + 4 * np.array([0, found.information.error, found.aggregate_kl.error])), off
    # H - D = I, too: the decoder is the encoder's own conditional.
    H = np.log(2 * np.pi * np.e * 2) / 2
    assert abs(H - found.distortion.value - HALF_LOG_2) < 0.003 + 4 * found.distortion.error
    assert found.information.value < HALF_LOG_2 + 4 * found.information.error + 1e-6 and not found.bits
    assert found.limits == (0, found.rate.value)


def test_many_data_of_a_linear_gaussian_model():
    model = LinearGaussian(rng().standard_normal((5, 3)), rng(1).standard_normal(5), 0.7)
    x = model.sample(1500, rng(2))
    vae = linear_vae(model, 0.2)  # too wide, and elsewhere
    q = vae.encode(x)
    A, S = vae.params["encoder.W0"][:, :3], np.diag(np.exp(q.logvar[0]))
    C = model.W @ model.W.T + model.s**2 * np.eye(5)
    mean, cov = model.m @ A + vae.params["encoder.b0"][:3], A.T @ C @ A + S
    I = 0.5 * (np.linalg.slogdet(cov)[1] - np.linalg.slogdet(S)[1])
    KL = 0.5 * (np.trace(cov) + mean @ mean - 3 - np.linalg.slogdet(cov)[1])
    D = model.log_likelihood(x)  # a control: the same data
    found = tv.evaluate.rates(vae, x, rng(3), 4)
    over = found.over_data()
    # These points have less information than the distribution that they come from, which lies in between.
    assert found.information_low.value - 4 * over["information"].error < I
    assert I < found.information_high.value + 4 * over["information"].error
    assert found.information_high.value - found.information_low.value < 0.3
    assert abs(over["information"].value - I) < 4 * over["information"].error + 0.01  # of so many points, too low
    assert abs(over["aggregate_kl"].value - KL) < 4 * over["aggregate_kl"].error + 0.01
    assert abs(over["rate"].value - I - KL) < 4 * over["rate"].error
    assert abs(found.rate.value - found.information.value - found.aggregate_kl.value) < 4 * found.information.error
    bound = -(found.distortion.value + found.rate.value)
    assert bound == pytest.approx(model.elbo(q, x).mean(), abs=4 * found.distortion.error) and bound < D.mean()
    assert (found.decoder_passes, found.encoder_passes, found.points.shape) == (6000, 1500, (1500, 4))


def test_latents_that_depend_on_each_other_are_as_good_turned_round():
    # A rotation changes neither R, D, I nor the KL to N(0, I).
    mu, logvar = rng().standard_normal((6, 2)), rng(1).standard_normal((6, 2)) - 1
    straight, x = coded(mu, logvar)
    turn = np.linalg.qr(rng(2).standard_normal((2, 2)))[0]
    factors = [np.linalg.cholesky(turn @ np.diag(np.exp(row)) @ turn.T) for row in logvar]
    parts = [[np.log(L[0, 0]), np.log(L[1, 1]), L[1, 0]] for L in factors]
    turned, x = coded(mu @ turn.T, np.array(parts), latents="full_gaussian")
    turned.decoder.theta[:] = straight.decoder.theta
    turned.params["decoder.W0"][:] = turn @ straight.params["decoder.W0"]
    first = tv.evaluate.rates(straight, x, method="quadrature")
    second = tv.evaluate.rates(turned, x, method="quadrature")
    drawn = tv.evaluate.rates(turned, x, rng(), 3000)
    for one, other, third in zip(first[:6], second[:6], drawn[:6]):
        assert abs(one.value - other.value) < 1e-9 + one.error + other.error < 5e-3
        assert abs(one.value - third.value) < 4 * third.error + one.error + 1e-9


# --- digits ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(digits):
    x = tv.datasets.binarize(digits[:120], rng())
    vae = tv.VAE(64, 2, (20,), seed=0)
    for _ in tv.train(vae, x, optimizer=tv.Adam(1e-2), epochs=40, batch_size=50):
        pass
    return vae, x


@pytest.fixture(scope="module")
def digits():
    return tv.datasets.load("digits").train


def test_on_digits_the_rate_is_found_again_by_two_other_methods(trained):
    vae, x = trained
    found = tv.evaluate.rates(vae, x, method="quadrature")
    R, I, KL = values(found)
    assert abs(R - I - KL) < 1e-4 and found.information.error < 1e-3 and found.aggregate_kl.error < 1e-3
    assert 0.5 < I < R and KL > 0.01
    drawn = tv.evaluate.rates(vae, x, rng(), 40)
    assert np.abs(values(drawn)[1:] - [I, KL]).max() < 4 * drawn.information.error < 0.1
    assert drawn.distortion.value == pytest.approx(found.distortion.value, abs=4 * drawn.distortion.error)
    bound = tv.evaluate.bound(vae, x, n_samples=40)
    assert bound.kl == pytest.approx(R, rel=1e-5)
    assert bound.reconstruction == pytest.approx(found.distortion.value, abs=6 * drawn.distortion.error)
    low, high = found.limits
    assert low <= I <= high == R and found.bits and found.entropy < np.log(120) + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("latents", ["gaussian", "full_gaussian"])
def test_on_all_digits_r_is_i_and_kl_to_a_hundredth(latents, digits):
    x = tv.datasets.binarize(digits, rng())
    vae = tv.VAE(64, 2, (100,), seed=0, latents=latents)
    for _ in tv.train(vae, x, optimizer=tv.Adam(3e-3), epochs=20, batch_size=100):
        pass
    found = tv.evaluate.rates(vae, x, method="quadrature")
    R, I, KL = values(found)
    assert abs(R - I - KL) < 1e-4 and found.information.value > 1 and KL > 0.01


def test_a_factorised_decoder_without_a_code_falls_short_of_the_entropy(digits):
    # At R = 0 its best D is the sum of the pixels' entropies: H and what the pixels tell about each other.
    x = tv.datasets.binarize(digits[:300], rng())
    vae = tv.VAE(64, 2, (5,), dtype="float64")
    vae.theta[:] = 0
    vae.start_at(x)
    share = x.mean(axis=0).clip(0.001, 0.999)
    best = -(x * np.log(share) + (1 - x) * np.log1p(-share)).sum(axis=1).mean()
    found = tv.evaluate.rates(vae, x, rng(), 2)
    assert found.distortion == pytest.approx((best, 0), abs=1e-9) and 26 < best < 28
    assert np.abs(values(found)).max() < 1e-12 and found.limits == (0, 0)
    assert found.entropy < np.log(300) + 1e-9  # of these 300: far less than any D without a code


def test_the_entropy_of_given_data_is_that_of_rows():
    vae, _ = coded(*CODES)
    x = np.eye(5)[[0, 0, 1, 2]]
    shares = np.array([0.5, 0.25, 0.25])
    for data in (x, x.astype(bool), x.astype("float32")):
        found = tv.evaluate.rates(vae, data, rng())
        assert found.entropy == pytest.approx(-(shares * np.log(shares)).sum()) and found.bits
        assert found.limits[1] == min(found.rate.value, found.entropy)
    assert not tv.evaluate.rates(vae, 0.9 * x, rng()).bits


def test_limits_hold_for_the_points_given():
    # Bits that a code tells, and a decoder that knows: D falls to 0, and I is squeezed between H - D and H.
    vae, x = coded(8.0 * np.arange(4)[:, None], np.full((4, 1), -4.0))
    vae.params["decoder.W0"][:] = 20 * np.arange(4)  # logits 20 (k z / 8 - k^2 / 2) and the like: near 0 or 1
    found = tv.evaluate.rates(vae, x, rng())
    low, high = found.limits
    assert low <= found.information.value + 1e-9 and found.information.value <= high + 1e-9
    assert low == max(0, np.log(4) - found.distortion.value)


# --- as its neighbours ----------------------------------------------------------------------------------


@pytest.mark.parametrize("latents", ["gaussian", "full_gaussian"])
def test_is_the_same_for_any_number_of_workers(latents, monkeypatch):
    vae = tv.VAE(9, 2, (5,), latents=latents, seed=1)
    x = (rng().random((130, 9)) < 0.4).astype("uint8")
    for options in ({"n_samples": 7}, {"n_samples": 3, "n_codes": 20}, {"n_samples": 600}, {"method": "quadrature"}):
        found = []
        for n in ("1", "3"):
            monkeypatch.setenv("TINYVAE_WORKERS", n)
            some = x[:130] if options.get("n_samples", 600) < 600 else x[:5]
            found.append(tv.evaluate.rates(vae, some, rng(), **options))
        assert found[0][:8] == found[1][:8] and np.array_equal(found[0].points, found[1].points)


def test_the_generators_state_decides_and_moves_on():
    vae, x = coded(*CODES)
    first, spawned = rng(1), rng(1)
    spawned.spawn(2)
    found = tv.evaluate.rates(vae, x, first)
    assert tv.evaluate.rates(vae, x, spawned)[:8] == found[:8]
    assert tv.evaluate.rates(vae, x, first)[:8] != found[:8]


def test_a_terminal_sees_how_far_it_is(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    vae, x = coded(*CODES)
    monkeypatch.setattr(progress, "DELAY", 0)
    for terminal in (True, False):
        monkeypatch.setattr("sys.stderr", Terminal() if terminal else io.StringIO())
        tv.evaluate.rates(vae, x, rng())
        tv.evaluate.rates(vae, x, method="quadrature")
        shown = sys.stderr.getvalue()
        assert all((bar in shown) == terminal for bar in ("0.00/100", "draw", "0.00/5.00", "point", "node")), shown


def test_large_blocks_and_small_ones_agree(monkeypatch):
    vae, x = coded(rng().standard_normal((30, 2)), rng(1).standard_normal((30, 2)))
    q = vae.encode(x)
    z, own = rng(2).standard_normal((7, 2)) * 3, np.arange(7) * 4
    all_at_once = aggregate.Mixture(q).log_density(z), aggregate.Mixture(q).log_density(z, own)
    densities = np.exp(q.log_prob(np.repeat(z[:, None], 30, axis=1)))  # 7, 30
    np.testing.assert_allclose(all_at_once[0], np.log(densities.mean(axis=1)), rtol=1e-12)
    densities[range(7), own] = 0
    np.testing.assert_allclose(all_at_once[1], np.log(densities.sum(axis=1) / 29), rtol=1e-12)
    monkeypatch.setattr(aggregate, "CELLS", 7)  # a code at a time: one block holds nothing but the one left out
    for one, other in zip(all_at_once, (aggregate.Mixture(q).log_density(z), aggregate.Mixture(q).log_density(z, own))):
        np.testing.assert_allclose(one, other, rtol=1e-13)

    class OfAnotherKind:  # not known to be Gaussian: asked for its densities
        params, mean, log_prob = q.params, q.mean, q.log_prob
        like = staticmethod(q.like)

    np.testing.assert_allclose(aggregate.Mixture(OfAnotherKind()).log_density(z, own), all_at_once[1], rtol=1e-12)


def test_memory_is_bounded_by_a_chunk(monkeypatch):
    monkeypatch.setenv("TINYVAE_WORKERS", "1")
    monkeypatch.setattr(aggregate, "CELLS", 2**14)
    monkeypatch.setattr(rate_distortion, "ROWS", 50)
    vae = tv.VAE(100, 2, (10,))

    def peak(n_points, n_samples, **options):
        x = np.zeros((n_points, 100), "uint8")
        tracemalloc.start()
        tv.evaluate.rates(vae, x, rng(), n_samples, **options)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2, 10)  # what is made once
    small = peak(200, 4)
    assert peak(200, 40) < 1.3 * small
    assert peak(1000, 4) < 3 * small  # codes are kept, densities are not: 4 million of them are 32 MB
    assert small < 2e6


def test_says_so_where_the_information_is_near_its_most(recwarn):
    vae, x = coded(20.0 * np.arange(5)[:, None], np.zeros((5, 1)))
    with pytest.warns(UserWarning, match="the information, 1.61 nats, is near its most, 1.61"):
        tv.evaluate.rates(vae, x, rng())
    vae, x = coded(*CODES)
    recwarn.clear()
    tv.evaluate.rates(vae, x, rng())
    assert not recwarn.list


def test_a_grid_says_how_far_it_is_off():
    # Codes far apart, whose KL is known: narrow and wide ones, so that the steps come to their widest.
    for logvar in (-1.0, -10.5):
        mu = np.array([[0.0, 0.0], [2.0, 3.0], [0.0, 3.0]])
        vae, x = coded(mu, np.full((3, 2), logvar))
        q = vae.encode(x)
        value, error = aggregate.kl_on_a_grid(aggregate.Mixture(q))
        if logvar < -5:
            assert abs(value - q.kl().mean() + np.log(3)) < error + 1e-9
        assert error < (1e-3 if logvar > -5 else 0.5)
    vae, x = coded(mu, np.full((3, 2), -16.0))
    with pytest.raises(ValueError, match="0.00034 wide, needs a grid of .*take method='monte_carlo'"):
        tv.evaluate.rates(vae, x, method="quadrature")


def test_bad_input_is_refused():
    vae, x = coded(*CODES)
    call = tv.evaluate.rates
    for message, error, arguments, options in (
        ("x must hold at least two", ValueError, (x[:1], rng()), {}),
        ("x must have shape", ValueError, (x[:, :3], rng()), {}),
        ("lie in", ValueError, (x + 2, rng()), {}),
        ("n_samples must be at least 2", ValueError, (x, rng(), 1), {}),
        ("n_samples must be an integer", TypeError, (x, rng(), 2.5), {}),
        ("n_codes must be at least 1", ValueError, (x, rng()), {"n_codes": 0}),
        ("n_codes must be at most 4", ValueError, (x, rng()), {"n_codes": 5}),
        ("rng must be a numpy.random.Generator", TypeError, (x,), {}),
        ("rng must be a numpy.random.Generator", TypeError, (x, 0), {}),
        ("method", ValueError, (x, rng()), {"method": "grid"}),
        ("quadrature takes all codes", ValueError, (x,), {"method": "quadrature", "n_codes": 2}),
    ):
        with pytest.raises(error, match=message):
            call(vae, *arguments, **options)
    with pytest.raises(ValueError, match="'quadrature' is for Gaussian latents, at most 3, got 4 of 'gaussian'"):
        call(tv.VAE(5, 4, ()), x, method="quadrature")
    with pytest.raises(ValueError, match="squared_error"):
        call(tv.VAE(5, 1, (), likelihood="squared_error"), x, rng())
    with pytest.raises(TypeError, match="the rate is of a model whose latents are drawn"):
        call(tv.Autoencoder(5, 1, ()), x, rng())
    vae.params["encoder.b0"][:] = np.nan
    with pytest.raises(tv.NonFiniteLoss, match="the KL term became nan"):
        call(vae, x, rng())


@pytest.mark.parametrize("likelihood", ["continuous_bernoulli", "gaussian", "categorical"])
def test_any_density_has_rates(likelihood):
    vae = tv.VAE(4, 1, (3,), likelihood=likelihood)
    found = tv.evaluate.rates(vae, np.round(rng().random((6, 4)) * 16).astype("float32") / 16, rng(), 3)
    assert np.isfinite([estimate for estimate in found[:6]]).all() and found.bits == (likelihood == "categorical")


# --- active units ---------------------------------------------------------------------------------------


def test_active_units_are_those_whose_means_move():
    mu = rng().standard_normal((400, 3)) * [1.0, 0.1, 0.0]
    vae, x = coded(mu, np.zeros((400, 3)))
    found = tv.evaluate.active_units(vae, x)
    np.testing.assert_allclose(found.variances, mu.var(axis=0, ddof=1), atol=1e-15)
    assert (found.count, found.unclear) == (int((mu.var(axis=0, ddof=1) > 0.01).sum()), 1)
    assert found.errors[0] == pytest.approx(np.sqrt(2 / 400) * found.variances[0], rel=0.3) and found.errors[2] == 0
    assert tv.evaluate.active_units(vae, x, threshold=0.0).count == 2
    assert tv.evaluate.active_units(vae, x, threshold=5).count == 0


def test_their_errors_hold_over_data_sets():
    off = []
    for seed in range(200):
        mu = rng(seed).laplace(size=(100, 2))  # variance 2
        vae, x = coded(mu, np.zeros((100, 2)))
        found = tv.evaluate.active_units(vae, x)
        off.append((found.variances - 2) / found.errors)
    # 400 intervals of two errors: heavy tails make them a little short, 88 to 96% hold
    assert 0.86 < np.mean(np.abs(off) < 2) < 0.98


def test_a_learnt_priors_scale_does_not_count():
    mu = rng().standard_normal((50, 2))
    plain, x = coded(mu, np.zeros((50, 2)))
    scaled, _ = coded(10 * mu + 3, np.zeros((50, 2)), prior="learnt_normal")
    scaled.params["prior.mu"][:], scaled.params["prior.logvar"][:] = 3, 2 * np.log(10)
    one, other = tv.evaluate.active_units(plain, x), tv.evaluate.active_units(scaled, x)
    np.testing.assert_allclose(one.variances, other.variances)
    np.testing.assert_allclose(one.errors, other.errors)


def test_what_active_units_refuse():
    vae, x = coded(*CODES)
    with pytest.raises(ValueError, match="at least four data points"):
        tv.evaluate.active_units(vae, x[:3])
    with pytest.raises(ValueError, match="threshold"):
        tv.evaluate.active_units(vae, x, threshold=-1)
    with pytest.raises(TypeError, match="active_units is of a model whose latents are drawn"):
        tv.evaluate.active_units(tv.Autoencoder(5, 1, ()), x)
    vae.params["encoder.b0"][:] = np.nan
    with pytest.raises(ValueError, match="the encoder's means"):
        tv.evaluate.active_units(vae, x)
