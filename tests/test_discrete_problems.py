"""What is exact of discrete latents: the certificate's problems, a model's gradient and likelihood by enumeration."""

import itertools

import numpy as np
import pytest
from scipy.special import expit, logsumexp

import tinyvae as tv
from tinyvae import check, evaluate, problems
from tinyvae.distributions import OneHot
from tinyvae.estimators import arm

KINDS = ("binary", "categorical")
NAMED = ("one_bit", "coupled_bits", "one_choice")


# --- problems ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMED)
def test_named_problems_have_the_gradient_of_the_sum(name):
    p = problems.make(name)
    assert p.name == name
    np.testing.assert_allclose(p.gradient, check.exact_gradient(p.q, p.target), rtol=1e-12, atol=1e-15)


def test_options_of_the_named_problems():
    assert problems.one_bit(0.25, 0.2).gradient == pytest.approx(3 / 16 * 0.6)
    assert problems.coupled_bits(3).q.params.shape == (1, 3) and problems.one_choice(4).q.n_ways == 4
    for wrong in (lambda: problems.one_bit(1.0), lambda: problems.one_bit(0), lambda: problems.one_choice(1)):
        with pytest.raises(ValueError, match="p must be|n_ways must be"):
            wrong()


@pytest.mark.parametrize(
    "p",
    [*(p for kind in KINDS for p in check.default_problems(kind)), *map(problems.make, NAMED)],
    ids=lambda p: p.name,
)
def test_targets_have_the_slope_of_their_values(p):
    # Between the states, too: there a relaxation asks.
    rng = np.random.default_rng(0)
    z, v = rng.random((3, *p.q.params.shape)), rng.normal(size=p.q.params.shape)
    numeric = (p.target(z + 1e-5 * v) - p.target(z - 1e-5 * v)) / 2e-5
    np.testing.assert_allclose((p.target.grad(z) * v).sum(axis=2), numeric, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bound_of_one_sample_is_the_sampled_kl(kind):
    p = check.bound_problems((1,), kind)[0]
    exact = check.exact_gradient(p.q, p.target, tv.ELBO(kl="monte_carlo"))
    np.testing.assert_allclose(p.gradient, exact, rtol=1e-7, atol=1e-9)


# --- the certificate --------------------------------------------------------------------------------------

SHORT = {"n_samples": (1,), "max_draws": 40_000}
FIRST = {kind: check.default_problems(kind)[:2] for kind in KINDS}


def test_an_estimator_for_bits_alone_is_certified_on_bits():
    certificate = check.unbiased("arm", **SHORT).assert_passed()
    bits, choices = ({p.name for p in check.default_problems(kind)} for kind in KINDS)
    assert {t.problem for t in certificate.tests} == bits and set(certificate.refused) == choices
    assert {t.coordinate for t in certificate.tests} <= {"logits[0]", "logits[1]", "logits[2]", "f", "f's spread"}
    assert 'bound_problems(latents="binary")' in certificate.report()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_estimator_for_all_latents_is_certified_where_it_is_asked(kind):
    certificate = check.unbiased("leave_one_out", latents=kind, n_samples=(2,), max_draws=40_000).assert_passed()
    assert {t.problem for t in certificate.tests} == {p.name for p in check.default_problems(kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_bound_of_discrete_latents_is_certified(kind):
    certificate = check.unbiased("vimco", latents=kind, n_samples=(2,), max_draws=40_000).assert_passed()
    assert len({t.problem for t in certificate.tests}) == 2


def test_what_is_biased_is_convicted_with_the_size_of_its_bias():
    one = [FIRST["binary"][0]]  # (z - .45)^2 at logits .6 and -1.2
    p = expit(one[0].q.params[:, 0])
    certificate = check.unbiased("straight_through", one, **SHORT)
    assert certificate.biased and not certificate.passed
    found = {t.point: t for t in certificate.failures if t.coordinate == "logits[0]"}
    for b in range(2):
        known = p[b] * (1 - p[b]) * (2 * p[b] - 1)
        assert abs(found[b].bias - known) < found[b].threshold < 0.1 * abs(known)
    relaxed = check.unbiased("gumbel_softmax", FIRST["categorical"], **SHORT)
    assert relaxed.biased and not relaxed.passed and "of the gradient's norm, between" in relaxed.report()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["arm", "disarm", "muprop", "rebar"])
def test_the_estimators_for_discrete_latents_are_certified_with_the_stated_power(name):
    certificate = check.unbiased(name, n_samples=(2,)).assert_passed()
    assert certificate.powerful and {t.coordinate[:6] for t in certificate.tests} == {"logits", "f", "f's sp"}


def test_known_mistakes_are_named():
    def without_its_half(q, target, eps, objective, rng):
        draws = arm(q, target, eps, objective, rng)
        return draws._replace(dparams=2 * draws.dparams)

    (perhaps,) = check.unbiased(without_its_half, FIRST["binary"], **SHORT).perhaps
    assert perhaps.startswith("the whole gradient is twice what it should be")


def test_latents_that_there_are_not():
    with pytest.raises(ValueError, match="latents must be one of"):
        check.unbiased("disarm", latents="bits")
    with pytest.raises(ValueError, match="reparameterization needs q.path"):
        check.unbiased("reparameterization", latents="binary")


# --- a model ----------------------------------------------------------------------------------------------


def small(latents="binary", n_latents=3, prior=None, **options):
    """A VAE away from where it starts, and its data."""
    vae = tv.VAE(5, n_latents, (6,), latents=latents, prior=prior, dtype="float64", **options)
    rng = np.random.default_rng(0)
    vae.theta[:] += 0.7 * rng.normal(size=vae.theta.shape)
    return vae, (rng.random((7, 5)) < 0.4).astype("float64")


def exact(vae, x):
    """log p(x) and the bound, by a loop over all states."""
    if vae.family is tv.Binary:
        states = np.array(list(itertools.product([0.0, 1.0], repeat=vae.n_latents)))
    else:
        ways = itertools.product(range(vae.family.n_ways), repeat=vae.n_latents)
        states = np.array([np.eye(vae.family.n_ways)[list(way)].ravel() for way in ways])
    n, q = len(x), vae.encode(x)
    joint = np.array([
        vae.decode(np.repeat(z[None], n, axis=0)).log_prob(x) + vae.prior.log_prob(z[None, None])[0, 0] for z in states
    ])  # fmt: skip
    log_q = q.log_prob(np.repeat(states[:, None], n, axis=1))
    return logsumexp(joint, axis=0), (np.exp(log_q) * (joint - log_q)).sum(axis=0)


@pytest.mark.parametrize("latents, prior", [("binary", None), ("binary", "learnt_bits"), (OneHot(3), None)])
def test_the_exact_likelihood_is_the_sum_over_all_states(latents, prior):
    vae, x = small(latents, prior=prior)
    known, bound = exact(vae, x)
    found = evaluate.exact_log_likelihood(vae, x)
    np.testing.assert_allclose(found, known, rtol=1e-12)
    assert (found > bound).all()
    many = np.repeat(x, 40, axis=0)  # more than a chunk
    np.testing.assert_allclose(evaluate.exact_log_likelihood(vae, many), np.repeat(known, 40), rtol=1e-12)
    for name in ("W1", "b1"):  # q becomes uniform, whose weights are as even as p(x | z) is: the sampled one beside it
        vae.params[f"encoder.{name}"][:] = 0
    np.testing.assert_allclose(vae.log_likelihood(x, 5000, np.random.default_rng(0)), known, atol=0.1)


def test_twelve_bits_are_enumerated_in_pieces():
    vae, x = small(n_latents=12)
    z, _ = vae.encode(x[:1]).nodes()
    known = logsumexp(vae.decode(np.ascontiguousarray(z[:, 0])).log_prob(np.repeat(x[:1], 4096, axis=0))) - 12 * np.log(
        2
    )
    assert evaluate.exact_log_likelihood(vae, x[:1]) == pytest.approx(known, rel=1e-12)


def test_what_has_no_exact_likelihood_is_refused():
    x = np.zeros((2, 5))
    for vae, error, words in (
        (tv.VAE(5, 2), TypeError, "enumerates states, which latents of 'gaussian' have not: take log_likelihood"),
        (tv.VAE(5, 13, latents="binary"), ValueError, "at most 12 bits, got 13"),
        (tv.VAE(5, 2, latents="binary", likelihood="squared_error"), ValueError, "squared_error"),
        (tv.Autoencoder(5, 2), TypeError, "a model whose latents are drawn"),
    ):
        with pytest.raises(error, match=words):
            evaluate.exact_log_likelihood(vae, x.astype(vae.dtype))


def test_the_gaps_of_bits_add_up_to_the_exact_ones():
    vae, x = small(n_latents=2)
    likelihood, bound = exact(vae, x)
    gaps = evaluate.gaps(vae, x, 4000, np.random.default_rng(1))
    error = np.hypot(gaps.amortization_error, gaps.approximation_error)
    assert (np.abs(gaps.amortization + gaps.approximation - (likelihood - bound)) < 4.5 * error + 1e-9).all()
    assert gaps.amortization.mean() > 0 and error.max() < 0.1


def test_what_is_missing_is_drawn_and_what_is_there_stays():
    vae, x = small()
    x[:, 2] = np.nan
    draws = evaluate.impute(vae, x, 3, np.random.default_rng(2), n_steps=20)
    assert draws.shape == (3, 7, 5) and set(np.unique(draws[..., 2])) <= {0.0, 1.0}
    np.testing.assert_array_equal(np.delete(draws, 2, axis=2), np.repeat(np.delete(x, 2, axis=1)[None], 3, axis=0))


def test_walks_through_bits_and_what_choices_refuse():
    vae, _ = small()
    ends = evaluate.traverse(vae, 2).reshape(3, 2, 3)
    for k in range(3):
        np.testing.assert_array_equal(ends[k, :, k], [0, 1])
    assert evaluate.manifold(vae, 4).shape == (16, 3)
    with pytest.raises(TypeError, match="'categorical' are ways without an order, .* take interpolate"):
        evaluate.traverse(small(OneHot(3))[0], 2)


@pytest.mark.parametrize("latents", ["gaussian", "binary", OneHot(3)])
def test_active_units_are_those_whose_mean_varies(latents):
    vae, x = small(latents)
    found, means = evaluate.active_units(vae, x, threshold=1e-6), vae.encode(x).mean
    np.testing.assert_allclose(found.variances, means.var(axis=0, ddof=1).reshape(3, -1).max(axis=1), rtol=1e-5)
    assert found.errors.shape == (3,) and found.count == 3
    last = vae.params[f"encoder.W{vae.encoder.n_layers - 1}"]
    width = vae.code_size // 3
    last[:, width : 2 * width] = 0  # the second latent's own
    found = evaluate.active_units(vae, x, threshold=1e-6)
    assert found.count == 2 and found.variances[1] < 1e-12


def test_the_exact_gradient_of_a_model_is_enumerated_beyond_three_latents():
    vae, x = small(n_latents=6)
    found = problems.vae_gradient(vae, x)
    assert found.error == 0 and not found.errors["encoder"].any()
    report = tv.variance.measure(vae, x, ["disarm"], n_draws=400)["disarm"]
    assert tv.variance.bias(report, found.gradients["encoder"], "encoder").p > 1e-4
    for latents, n in (("binary", 13), ("categorical", 4)):
        with pytest.raises(ValueError, match="enumeration is for at most 4096 states, got"):
            problems.vae_gradient(tv.VAE(5, n, latents=latents), x.astype("float32"))
