"""What evaluates a model, on bits, choices, two layers, codebooks: against sums over states, or refused in a line."""

import itertools
import sys

import numpy as np
import pytest
from scipy.special import logsumexp
from test_discrete_problems import small
from test_two_layers import make as two_layers
from test_two_layers import terms

import tinyvae as tv
from tinyvae import evaluate
from tinyvae.distributions import OneHot
from tinyvae.evaluate import aggregate

pytestmark = pytest.mark.filterwarnings("ignore:the information")
KINDS = {
    "bits": ("binary", 3, None),
    "learnt bits": ("binary", 3, "learnt_bits"),
    "ten ways": ("categorical", 2, None),
    "three ways": (OneHot(3), 2, "learnt_categories"),
}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def rng(seed=0):
    return np.random.default_rng(seed)


def known(vae, x):
    """log q(z | x), (N, n), log p(z), (N, 1), and log p(x | z), (N, n), of all states, from their definitions."""
    if vae.family is tv.Binary:
        z = np.array(list(itertools.product([0.0, 1.0], repeat=vae.n_latents)))
    else:
        ways = itertools.product(range(vae.family.n_ways), repeat=vae.n_latents)
        z = np.array([np.eye(vae.family.n_ways)[list(way)].ravel() for way in ways])
    q, n = vae.encode(x), len(x)
    log_x = np.array([vae.decode(np.repeat(one[None], n, axis=0)).log_prob(x) for one in z])
    return q.log_prob(np.repeat(z[:, None], n, axis=1)), vae.prior.log_prob(z[:, None]), log_x


# --- rates ------------------------------------------------------------------------------------------------


@kinds
def test_rates_by_enumeration_are_the_sums_over_all_states(kind):
    vae, x = small(*kind)
    x[1] = x[0]  # two equal rows
    log_q, log_p, log_x = known(vae, x)
    q, n = np.exp(log_q), len(x)
    both = np.log(q.mean(axis=1, keepdims=True))
    others = np.log((q.sum(axis=1, keepdims=True) - q) / (n - 1))
    hand = [(q * one).sum(axis=0) for one in (log_q - log_p, -log_x, log_q - both, both - log_p)]
    found = evaluate.rates(vae, x, method="enumeration")
    np.testing.assert_allclose([one.value for one in found[:4]], [one.mean() for one in hand], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.points, np.stack(hand, axis=1), rtol=1e-9, atol=1e-12)
    assert found.rate.value == pytest.approx(found.information.value + found.aggregate_kl.value, abs=1e-12)
    assert found.information_low.value == found.information.value < found.information_high.value
    assert found.information_high.value == pytest.approx((q * (log_q - others)).sum(axis=0).mean(), rel=1e-9)
    assert max(one.error for one in found[:6]) < 1e-12 and found.decoder_passes == len(log_q) == vae.n_states
    low, high = found.limits
    assert low - 1e-12 <= found.information.value <= high and found.bits


@kinds
@pytest.mark.parametrize("n_codes", [None, 2])
def test_sampled_rates_agree_with_the_enumerated_ones(kind, n_codes):
    vae, x = small(*kind)
    exact = evaluate.rates(vae, x, method="enumeration")
    found = evaluate.rates(vae, x, rng(1), n_samples=1000, n_codes=n_codes)
    assert found.rate == exact.rate
    same = ("distortion", "information", "aggregate_kl", "information_high") if n_codes is None else ("distortion",)
    for name in same:
        one, other = getattr(found, name), getattr(exact, name)
        assert abs(one.value - other.value) < 4.5 * one.error < 0.2, name
    if n_codes:  # above and below, as of Gaussians
        assert found.information.value - found.information_low.value > 0.01
        assert found.rate.value == pytest.approx(found.information.value + found.aggregate_kl.value, abs=0.1)


@kinds
def test_the_mixture_of_codes_has_the_density_of_its_parts(kind, monkeypatch):
    vae, x = small(*kind)
    log_q, *_ = known(vae, x)
    z, _ = vae.states()
    mixture, own = aggregate.Mixture(vae.encode(x)), np.arange(len(z)) % len(x)
    assert mixture.coefficients.shape == (7, vae.code_size + 1)
    for cells in (2**18, 7):
        monkeypatch.setattr(aggregate, "CELLS", cells)
        np.testing.assert_allclose(mixture.log_densities(z, np.arange(7)), log_q, rtol=1e-12)
        np.testing.assert_allclose(mixture.log_density(z), logsumexp(log_q, axis=1) - np.log(7), rtol=1e-12)
        left = np.where(np.arange(7) == own[:, None], -np.inf, log_q)
        np.testing.assert_allclose(mixture.log_density(z, own), logsumexp(left, axis=1) - np.log(6), rtol=1e-12)
    rows = np.stack([own, (own + 1) % 7], axis=1)
    np.testing.assert_allclose(mixture.log_densities(z, rows), np.take_along_axis(log_q, rows, axis=1), rtol=1e-12)


def test_equal_codes_say_nothing_and_certain_ones_all():
    vae = tv.VAE(8, 3, (), latents="binary", dtype="float64")
    vae.theta = np.zeros_like(vae.theta)
    found = evaluate.rates(vae, np.eye(8), method="enumeration")
    np.testing.assert_allclose([one.value for one in found[:6]], [0, 8 * np.log(2), 0, 0, 0, 0], atol=1e-12)
    z, _ = vae.states()
    vae.params["encoder.W0"][:] = 600 * (2 * z - 1)  # each its own state, without a doubt
    for options in ({"method": "enumeration"}, {"rng": rng()}):
        found = evaluate.rates(vae, np.eye(8), **options)
        assert found.information.value == pytest.approx(np.log(8)) and found.rate.value == pytest.approx(np.log(8))
        assert found.aggregate_kl.value == pytest.approx(0, abs=1e-9) and found.information_high.value > 500


def test_which_method_fits_which_latents():
    bits, x = small("binary")
    with pytest.raises(ValueError, match="for Gaussian latents, at most 3, got 3 of 'binary'; take .*'enumeration' or"):
        evaluate.rates(bits, x, method="quadrature")
    with pytest.raises(ValueError, match="enumeration takes all codes"):
        evaluate.rates(bits, x, method="enumeration", n_codes=2)
    with pytest.raises(ValueError, match="at most 12 bits, got 13: 2\\^13 states; take method='monte_carlo'"):
        evaluate.rates(tv.VAE(5, 13, latents="binary"), x, method="enumeration")
    with pytest.raises(TypeError, match="enumerates states, which latents of 'gaussian' have not: take method='monte"):
        evaluate.rates(tv.VAE(5, 1), x, method="enumeration")


def test_many_states_are_summed_in_pieces_whatever_the_number_of_workers(monkeypatch):
    vae, x = small("binary", 7, seed=3)
    found = []
    for workers in ("1", "2"):
        monkeypatch.setenv("TINYVAE_WORKERS", workers)
        found.append(evaluate.rates(vae, x, method="enumeration"))
    assert found[0][:6] == found[1][:6]
    monkeypatch.setattr(evaluate.discrete, "STATES", 1000)
    monkeypatch.setattr(evaluate.discrete, "POINTS", 2)
    np.testing.assert_allclose(evaluate.rates(vae, x, method="enumeration").points, found[0].points, rtol=1e-9)


# --- bound and likelihood ---------------------------------------------------------------------------------


@kinds
def test_bound_and_likelihood_of_samples_are_those_of_all_states(kind):
    vae, x = small(*kind)
    log_q, log_p, log_x = known(vae, x)
    elbo = (np.exp(log_q) * (log_x + log_p - log_q)).sum(axis=0)
    assert vae.held_out(x)._fields == ("loss", "reconstruction", "kl")
    assert evaluate.bound(vae, x, 3000).loss == pytest.approx(-elbo.mean(), abs=0.05)
    both = evaluate.generalization(vae, x, x[:4], rng(), 3000)
    assert both.train.value == pytest.approx(-elbo.mean(), abs=0.05)
    assert both.test.value == pytest.approx(-elbo[:4].mean(), abs=0.05)
    exact = evaluate.exact_log_likelihood(vae, x)
    np.testing.assert_allclose(exact, logsumexp(log_x + log_p, axis=0), rtol=1e-12)
    for name in ("W1", "b1"):  # q becomes flatter, whose weights are more even: exact is of the decoder alone
        vae.params[f"encoder.{name}"][:] *= 0.3
    found = evaluate.log_likelihood(vae, x, 4000, rng(1))
    assert (np.abs(found.value - exact) < 4.5 * found.error + 1e-9).all() and found.error.max() < 0.2
    bits, levels = evaluate.bits_per_pixel(vae, x, evaluate.Estimate(exact.mean(), 0.1))
    assert levels == 1 and bits.value == pytest.approx(-exact.mean() / (5 * np.log(2)))


def test_two_layers_have_an_exact_likelihood():
    model, x = two_layers(), np.array([[1.0, 0, 1, 1], [0, 0, 1, 0]])
    exact = [logsumexp(log_x + log_z) for _, log_x, log_z in (terms(model, one) for one in x)]
    np.testing.assert_allclose(evaluate.exact_log_likelihood(model, x), exact, rtol=1e-12)
    with pytest.raises(ValueError, match="at most 12 bits in both layers, got 13.*; take log_likelihood"):
        evaluate.exact_log_likelihood(tv.TwoLayerVAE(4, 10, 3), x.astype("float32"))


def test_the_advice_where_samples_are_worthless_fits_the_latents():
    vae, x = small("binary", 9, seed=1)
    vae.params["encoder.W1"][:], vae.params["encoder.b1"][:] = 0, 0  # all states alike, of which few fit a data point
    vae.decoder.theta[:] *= 20
    with pytest.warns(UserWarning, match=r"take more of them or tv.evaluate.exact_log_likelihood \(up to 4,096 stat"):
        evaluate.log_likelihood(vae, x, 200, rng())


@pytest.mark.parametrize("kind", ["bits", "three ways"])
def test_what_is_missing_is_drawn_from_its_conditional(kind):
    vae, x = small(*KINDS[kind])
    holes = x[:1].copy()
    holes[0, :2] = np.nan
    full = np.repeat(x[:1], 4, axis=0)
    full[:, :2] = list(itertools.product([0, 1], repeat=2))
    p = np.exp(evaluate.exact_log_likelihood(vae, full))
    p /= p.sum()
    n = 1500
    draws = evaluate.impute(vae, holes, n, rng(2), n_steps=60)[:, 0, :2]
    found = np.bincount((draws @ [2, 1]).astype(int), minlength=4) / n
    assert (np.abs(found - p) < 4.5 * np.sqrt(p * (1 - p) / n)).all()


def test_the_gaps_of_choices_add_up_to_the_exact_ones():
    vae, x = small(OneHot(3), 2)
    x = x[:3]
    log_q, log_p, log_x = known(vae, x)
    lacking = logsumexp(log_x + log_p, axis=0) - (np.exp(log_q) * (log_x + log_p - log_q)).sum(axis=0)
    best = evaluate.refine(vae, x, rng(), n_steps=100)
    found = evaluate.gaps(vae, x, 3000, rng(1), best)
    error = np.hypot(found.amortization_error, found.approximation_error)
    assert (np.abs(found.amortization + found.approximation - lacking) < 4.5 * error + 1e-9).all()
    assert found.amortization.mean() > 0 and error.max() < 0.1


# --- latent spaces ----------------------------------------------------------------------------------------


def quantized(**options):
    model = tv.VQVAE(5, 3, 4, 2, (6,), seed=1, **options)
    model.codebook[:] = rng(5).standard_normal(model.codebook.shape)
    return model


MODELS = {
    "bits": lambda: small("binary")[0],
    "choices": lambda: small(OneHot(3))[0],
    "two layers": lambda: tv.TwoLayerVAE(5, 3, 2, (4,), dtype="float64"),
    "codebook": quantized,
}
models = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
X = small()[1].astype("float32")


@models
def test_codes_are_what_the_decoder_takes(make):
    model = make()
    codes = evaluate.codes(model, X)
    assert codes.dtype == model.dtype and codes.shape == (7, model.decoder_inputs)
    outputs, _ = model.decoder.propagate(codes)
    said = model.likelihood(outputs).mean
    if isinstance(model, tv.VAE):  # which reconstructs from the most probable state
        np.testing.assert_array_equal(codes, model.encode(X).mean)
        assert said.shape == X.shape
    else:
        np.testing.assert_allclose(said, model.reconstruct(X), rtol=1e-6)


@models
def test_a_probe_is_told_the_codes(make):
    model, x = make(), np.tile(X, (6, 1))
    labels = x[:, 0].astype(int)
    found = evaluate.probe(model, x[:28], labels[:28], x[28:], labels[28:], 3, rng(), 4)
    assert 0 <= found.codes.value <= 1 and found.gain.value == pytest.approx(found.codes.value - found.pixels.value)


@models
def test_completeness_is_of_the_models_own_draws(make):
    model = make()
    found = evaluate.completeness(model, X[:4], X[4:], rng(3), n_draws=50)
    squares = [evaluate.nearest(rows, X[:4])[1] ** 2 for rows in (X[4:], model.sample(50, rng(3)))]
    assert found.value == pytest.approx(squares[0].mean() / squares[1].mean(), rel=1e-6) and found.error > 0
    with pytest.raises(ValueError, match="codes stand in for a prior over real numbers"):
        evaluate.completeness(model, X[:4], X[4:], rng(), codes=evaluate.codes(model, X))


@models
def test_between_codes_there_is_nothing(make):
    model = make()
    with pytest.raises(TypeError, match=f"codes of this tv.{type(model).__name__} have nothing between them: take tv"):
        evaluate.continuity(model, rng())
    with pytest.raises(TypeError, match="have nothing between them"):
        evaluate.continuity(model, rng(), codes=evaluate.codes(model, X))


@pytest.mark.parametrize("make", [MODELS["bits"], MODELS["choices"]])
def test_nothing_moves_along_a_slope(make):
    few = "does not have: take tv.evaluate.log_likelihood, or tv.evaluate.exact_log_likelihood up to 4,096 states"
    for task in (lambda model: evaluate.annealed(model, X, rng()), lambda model: evaluate.sandwich(model, 3, rng())):
        with pytest.raises(TypeError, match=few):
            task(make())


ONE_LAYER = {
    "impute": lambda model: evaluate.impute(model, X, 1, rng()),
    "refine": lambda model: evaluate.refine(model, X, rng()),
    "gaps": lambda model: evaluate.gaps(model, X, 9, rng()),
    "the rate": lambda model: evaluate.rates(model, X, rng()),
    "active_units": lambda model: evaluate.active_units(model, X),
    "the bound": lambda model: evaluate.generalization(model, X, X, rng()),
    "annealed importance sampling": lambda model: evaluate.annealed(model, X, rng()),
    "manifold": lambda model: evaluate.manifold(model, 3),
    "traverse": lambda model: evaluate.traverse(model, 3),
    "a family over beta": lambda model: tv.compare.family(model, X, X),
}


@pytest.mark.parametrize("what", ONE_LAYER)
@pytest.mark.parametrize("make", [MODELS["two layers"], quantized, lambda: tv.Autoencoder(5, 2, (4,))])
def test_what_is_of_one_layer_that_is_drawn_refuses_others(make, what):
    model = make()
    words = (
        f"{what} is of a model (with one layer )?whose latents are drawn, such as tv.VAE, got {type(model).__name__}"
    )
    with pytest.raises(TypeError, match=words):
        ONE_LAYER[what](model)


@pytest.mark.parametrize("make", [quantized, lambda: tv.Autoencoder(5, 2, (4,))])
def test_what_draws_nothing_has_no_bound_and_no_likelihood(make):
    for task in (evaluate.bound, evaluate.exact_log_likelihood, lambda *two: evaluate.log_likelihood(*two, 5, rng())):
        with pytest.raises(TypeError, match="is of a model whose latents are drawn.*model.held_out"):
            task(make(), X)


# --- a family, and a collapse -----------------------------------------------------------------------------


def test_a_family_of_bits_trains_by_what_fits_them():
    x = (rng().random((30, 8)) < [[0.2, 0.8] * 4]).astype("float32")
    vae = tv.VAE(8, 3, (6,), latents="binary", prior="learnt_bits")
    found = tv.compare.family(vae, x[:20], x[20:], (0.5, 30.0), epochs=3, rate=0.03, n_samples=2)
    assert [one.vae.prior.name for one in found] == ["learnt_bits"] * 2
    assert found[0].train.rate.value > found[1].train.rate.value
    gap = found[1].train.rate.value - found[1].train.information.value - found[1].train.aggregate_kl.value
    assert abs(gap) < 0.1


SAID = "the posterior has collapsed"


def lines(model, x, capsys, epochs, **options):
    tv.fit(model, x, epochs=epochs, optimizer=tv.Adam(1e-2), **{"batch_size": 20, "estimator": "disarm", **options})
    return [line for line in capsys.readouterr().err.splitlines() if SAID in line]


@pytest.mark.parametrize("latents", ["binary", OneHot(3)])
def test_a_collapse_of_bits_and_of_choices_is_told(latents, digits, capsys):
    (told,) = lines(tv.VAE(64, 4, (16,), latents=latents), digits, capsys, 18, objective=tv.ELBO(64.0))
    assert "tv.FreeBits" in told


def test_bits_that_lie_still_before_they_are_found_have_not_collapsed(digits, capsys):
    vae, options = tv.VAE(64, 50, (32,), latents="binary"), {"batch_size": 100, "n_samples": 2}
    kl = tv.fit(vae, digits, epochs=30, optimizer=tv.Adam(1e-2), estimator="disarm", **options).kl.reshape(30, 5)
    assert kl.mean(axis=1).min() < 0.04 and kl[-1].mean() > 0.2  # for 40 steps it looked like it
    assert SAID not in capsys.readouterr().err


def test_two_layers_that_collapse_are_told_what_they_can_take(digits, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["tinyvae.training.fit"], "collapsed", lambda *_: 0.01)
    (told,) = lines(tv.TwoLayerVAE(64, 4, 3, ()), digits[:40], capsys, 2)
    assert "a warm-up (tv.ELBO(" in told and "FreeBits" not in told
