"""Bits and one-hot groups: sampled, enumerated and differentiated, against sums over all states written out here."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from scipy import stats
from scipy.special import log_expit, log_softmax

import tinyvae as tv
from tinyvae import check, distributions
from tinyvae.distributions import Bits, Categories, LearntBits, LearntCategories, OneHot

LOGITS = np.array([[0.4, -1.3, 2.0], [0.0, 0.9, -0.6]])  # of three bits
WAYS = np.array([[0.4, -1.3, 2.0, 0.0, 0.9, -0.6], [1.1, 0.2, -0.5, -2.0, 0.3, 0.7]])  # of two groups of three ways
BITS = {
    "bits": (lambda logits: tv.Binary(logits), LOGITS),
    "bits of another prior": (lambda logits: tv.Binary(logits, Bits(np.array([0.7, 0.0, -1.5]))), LOGITS),
}
GROUPS = {
    "groups": (lambda logits: tv.Categorical(logits, 3), WAYS),
    "groups of another prior": (
        lambda logits: tv.Categorical(logits, 3, Categories(3, np.array([[0.5, 0.0, -1.0], [0.2, 0.2, 1.3]]))),
        WAYS,
    ),
}
KINDS = {**BITS, **GROUPS}
every = pytest.mark.parametrize("make, logits", KINDS.values(), ids=KINDS)


def all_states(q):
    """Every z, (N, B, K), by itertools, and log q and log p of each, (N, B), from their definitions."""
    rows, width = q.params.shape
    if hasattr(q, "n_ways"):
        ways = list(itertools.product(range(q.n_ways), repeat=width // q.n_ways))
        z = np.array([np.eye(q.n_ways)[list(way)].ravel() for way in ways])
        log_q = log_softmax(q.params.reshape(rows, -1, q.n_ways), axis=2).reshape(rows, width)
        n_groups = width // q.n_ways
        log_p = np.broadcast_to(log_softmax(q.prior.logits, axis=1), (n_groups, q.n_ways)).ravel()
        logs = [(z[:, None] * table).sum(axis=2) for table in (log_q, log_p[None])]
    else:
        z = np.array(list(itertools.product([0.0, 1.0], repeat=width)))
        sign = 2 * z[:, None] - 1  # log p(z) is log sigmoid of +-logits
        logs = [
            log_expit(sign * table).sum(axis=2) for table in (q.params, np.asarray(q.prior.logits) + np.zeros(width))
        ]
    log_q, log_p = (np.broadcast_to(one, (len(z), rows)) for one in logs)
    return np.repeat(z[:, None], rows, axis=1), log_q, log_p


# --- densities --------------------------------------------------------------------------------------------


@every
def test_densities_are_their_definitions_and_sum_to_one(make, logits):
    q = make(logits)
    z, log_q, log_p = all_states(q)
    np.testing.assert_allclose(q.log_prob(z), log_q, rtol=1e-12)
    np.testing.assert_allclose(np.exp(q.log_prob(z)).sum(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(q.prior.log_prob(z), log_p, rtol=1e-12)
    np.testing.assert_allclose(q.log_ratio(z), log_q - log_p, rtol=1e-11, atol=1e-12)


@every
def test_nodes_are_all_states_and_their_probabilities(make, logits):
    q = make(logits)
    z, log_q, _ = all_states(q)
    nodes, weights = q.nodes()
    order = [np.lexsort(states[:, 0].T) for states in (nodes, z)]
    np.testing.assert_array_equal(nodes[order[0]], z[order[1]])
    np.testing.assert_allclose(weights[order[0]], np.exp(log_q)[order[1]], rtol=1e-12)


@every
def test_score_is_the_slope_of_the_log_probability(make, logits, numeric_gradient):
    params = logits.copy()
    z, *_ = all_states(make(params))
    for n in (0, 3, 5):
        slope = numeric_gradient(lambda: make(params).log_prob(z)[n].sum(), params)
        np.testing.assert_allclose(make(params).score(z)[n], slope, rtol=1e-8, atol=1e-9)


@every
def test_kl_and_entropy_are_sums_over_all_states(make, logits, numeric_gradient):
    params = logits.copy()
    z, log_q, log_p = all_states(make(params))
    q = make(params)
    np.testing.assert_allclose(q.kl(), (np.exp(log_q) * (log_q - log_p)).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(q.kl_by_latent().sum(axis=1), q.kl(), rtol=1e-12)
    np.testing.assert_allclose(q.entropy(), -(np.exp(log_q) * log_q).sum(axis=0), rtol=1e-12)
    exact = q.kl_grad()
    np.testing.assert_allclose(exact, numeric_gradient(lambda: make(params).kl().sum(), params), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(q.prior.kl_grad_exact(q), exact, rtol=1e-12, atol=1e-15)


@every
def test_the_kl_of_the_prior_itself_is_0(make, logits):
    own = np.asarray(make(logits).prior.logits)  # a number, or those of each latent, or of all groups alike
    same = make(np.tile(np.broadcast_to(own, (2, 3) if own.ndim == 2 else (3,)).ravel(), (2, 1)))
    np.testing.assert_allclose(same.kl(), 0, atol=1e-15)
    np.testing.assert_allclose(same.kl_grad(), 0, atol=1e-15)


@every
def test_free_bits_free_the_latents_that_cost_little(make, logits, numeric_gradient):
    params = logits.copy()
    objective = tv.FreeBits(make(params).kl_by_latent().mean(axis=0).mean())  # some cost more, some less
    numeric = numeric_gradient(lambda: objective.kl_value(make(params)), params)
    of_f = np.random.default_rng(0).normal(size=(3, *params.shape))
    known = numeric + of_f.mean(axis=0) / len(params)
    np.testing.assert_allclose(make(params).batch_gradient(of_f, objective), known, rtol=1e-7, atol=1e-9)
    of_latents = np.abs(numeric).reshape(len(params), make(params).kl_by_latent().shape[1], -1).max(axis=(0, 2))
    assert of_latents.min() == 0 < 0.01 < of_latents.max()


@every
def test_the_exact_gradient_is_that_of_the_sum(make, logits, numeric_gradient):
    params, mix = logits.copy(), np.random.default_rng(0).normal(size=logits.shape[1])
    z, *_ = all_states(make(params))

    def f(z):
        return np.sin(z @ mix) + (z @ mix) ** 2

    def expectation():
        _, log_q, log_p = all_states(make(params))
        return (np.exp(log_q) * (f(z) + 0.7 * (log_q - log_p))).sum()

    nodes, _ = make(params).nodes()
    exact = make(params).exact_gradient(f(nodes), kl_weight=0.7)
    np.testing.assert_allclose(exact, numeric_gradient(expectation, params), rtol=1e-8, atol=1e-9)


@every
@pytest.mark.parametrize("scale", [30.0, 800.0])
def test_certain_latents_have_finite_numbers(make, logits, scale):
    with np.errstate(all="raise", under="ignore"):
        q = make(scale * logits)
        z = q.sample(q.noise(np.random.default_rng(0), 4))
        for one in (q.log_prob(z), q.score(z), q.kl(), q.kl_grad(), q.entropy_by_latent()):
            assert np.isfinite(one).all()
    assert (q.kl_by_latent() >= -1e-12).all()


# --- samples ----------------------------------------------------------------------------------------------

N = 40_000
SIGMAS = 4.5  # of a standard error: of a hundred numbers, one is further off once in 1,500 runs of a right sampler


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_are_as_frequent_as_they_are_probable(make, logits, dtype):
    q = make(logits.astype(dtype))
    z = q.sample(q.noise(np.random.default_rng(1), N))
    assert z.dtype == dtype and set(np.unique(z)) == {0.0, 1.0}
    states, log_q, _ = all_states(make(logits))
    p = np.exp(log_q)
    found = np.stack([(z == state).all(axis=2).mean(axis=0) for state in states.astype(dtype)])
    assert (np.abs(found - p) < SIGMAS * np.sqrt(p * (1 - p) / N)).all()  # of whole states: the latents independent
    np.testing.assert_allclose(q.probs, (p[..., None] * states).sum(axis=0), rtol=1e-6)


@every
def test_noise_given_a_sample_makes_that_sample_and_is_uniform(make, logits):
    q, rng = make(logits), np.random.default_rng(2)
    z = q.sample(q.noise(rng, N))
    eps = q.noise_given(z, q.noise(rng, N))
    np.testing.assert_array_equal(q.sample(eps), z)
    # Of samples drawn from q it is noise as any other: uniform, and its numbers are independent.
    for b, k in np.ndindex(logits.shape):
        assert stats.kstest(eps[:, b, k], "uniform").pvalue > 1e-5
    correlations = np.corrcoef(eps.reshape(N, -1).T)[np.triu_indices(logits.size, 1)]
    assert (np.abs(correlations) < SIGMAS / np.sqrt(N)).all()


@every
def test_noise_given_a_sample_is_the_conditional_one(make, logits):
    q, rng = make(logits), np.random.default_rng(3)
    eps = q.noise(rng, N)
    z = q.sample(eps)
    state = q.nodes()[0][5]  # B, K
    kept = (z == state).all(axis=2)  # S, B
    made = q.noise_given(np.repeat(state[None], N, axis=0), q.noise(rng, N))
    for b, k in np.ndindex(logits.shape):
        assert stats.ks_2samp(eps[kept[:, b], b, k], made[:, b, k]).pvalue > 1e-5


def test_the_largest_of_logits_and_gumbel_noise_is_a_softmax():
    # The textbook form, with Gumbel numbers of scipy and an argmax of our own, beside `sample` of the same noise.
    gumbel = stats.gumbel_r.rvs(size=(N, *WAYS.shape), random_state=4)
    way = (WAYS + gumbel).reshape(N, 2, 2, 3).argmax(axis=3)
    q = tv.Categorical(WAYS, 3)
    np.testing.assert_array_equal(q.sample(stats.gumbel_r.cdf(gumbel)).reshape(N, 2, 2, 3).argmax(axis=3), way)
    p = np.exp(log_softmax(WAYS.reshape(2, 2, 3), axis=2))
    found = np.stack([(way == w).mean(axis=0) for w in range(3)], axis=2)
    assert (np.abs(found - p) < SIGMAS * np.sqrt(p * (1 - p) / N)).all()


def test_two_ways_are_a_bit():
    bit, pair = tv.Binary(LOGITS[:, :1]), tv.Categorical(np.concatenate([0 * LOGITS[:, :1], LOGITS[:, :1]], axis=1), 2)
    np.testing.assert_allclose(pair.probs[:, 1:], bit.probs, rtol=1e-12)
    np.testing.assert_allclose(pair.kl(), bit.kl(), rtol=1e-12)
    np.testing.assert_allclose(pair.kl_grad()[:, 1:], bit.kl_grad(), rtol=1e-12)


@pytest.mark.parametrize("noise", ["antithetic", "sobol"])
@every
def test_other_noise_schemes_keep_the_probabilities(make, logits, noise):
    q = make(logits)
    z = q.sample(q.noise(np.random.default_rng(5), 4096, tv.noise.resolve(noise)))
    assert np.abs(z.mean(axis=0) - q.probs).max() < SIGMAS * 0.5 / 64


@pytest.mark.parametrize("prior, rows", [(Bits(), None), (Bits(-0.8), None), (Bits(np.array([0.5, -2.0])), None),
    (Categories(3), 3), (Categories(3, np.array([[0.5, 0.0, -1.0], [0.2, 0.2, 1.3]])), 3)])  # fmt: skip
def test_priors_draw_what_they_say(prior, rows):
    z = prior.sample(np.random.default_rng(6), N, 2, "float32")
    assert z.shape == (N, 2 * (rows or 1)) and z.dtype == "float32"
    if rows:
        p = np.exp(log_softmax(np.broadcast_to(prior.logits, (2, rows)), axis=1)).ravel()
        assert (z.reshape(N, 2, rows).sum(axis=2) == 1).all()
    else:
        p = np.exp(log_expit(np.broadcast_to(prior.logits, 2)))
        np.testing.assert_array_equal(prior.quantile(np.array([[0.001, 0.999]])), [[0, 1]])
    assert (np.abs(z.mean(axis=0) - p) < SIGMAS * np.sqrt(p * (1 - p) / N)).all()


# --- in a model -------------------------------------------------------------------------------------------

LATENTS = {
    "bits": ("binary", None),
    "learnt bits": ("binary", "learnt_bits"),
    "groups": (OneHot(3), None),
    "learnt groups": (OneHot(3), "learnt_categories"),
}
models = pytest.mark.parametrize("latents, prior", LATENTS.values(), ids=LATENTS)


def small(latents, prior, seed=0, n_latents=3, dtype="float64"):
    """A VAE of few latents, steep and with a prior away from where it starts, and its data."""
    vae = tv.VAE(6, n_latents, (5,), latents=latents, prior=prior, dtype=dtype, seed=seed)
    rng = np.random.default_rng(seed)
    vae.theta[:] += 0.5 * rng.normal(size=vae.theta.shape).astype(dtype)
    return vae, (rng.random((4, 6)) < 0.4).astype(dtype)


OBJECTIVES = {
    "analytic KL": tv.ELBO(beta=0.7),
    "sampled KL": tv.ELBO(beta=0.7, kl="monte_carlo"),
    "the bound": tv.ImportanceWeighted(),
}


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
@models
def test_what_is_learnt_beside_the_encoder_against_central_differences(latents, prior, objective):
    vae, x = small(latents, prior)
    eps = vae.noise(np.random.default_rng(1), 3, len(x))
    first = vae.n_encoder  # after it: the decoder's and the prior's, exact at fixed noise
    assert ("prior.logits" in vae.params) is (prior is not None)

    def loss(theta):
        vae.theta[first:] = theta
        value, grads = vae.loss_and_grads(x, eps, "score_function" if objective.averages else "vimco", objective)
        return value, grads[first:]

    check.gradients(loss, vae.theta[first:].copy(), n_coordinates=vae.theta.size - first)


@models
def test_the_whole_gradient_is_that_of_the_sum_over_all_states(latents, prior):
    vae, x = small(latents, prior, n_latents=2)

    def loss(theta):
        vae.theta[:] = theta
        q = vae.encode(x)
        z, weights = q.nodes()
        return float(((weights * vae.target(x)(z)).sum(axis=0) + q.kl()).mean())

    theta, exact = vae.theta.copy(), tv.problems.vae_gradient(vae, x)
    off = np.random.default_rng(2).normal(size=vae.n_encoder)
    step = np.concatenate([off, np.zeros(theta.size - off.size)]) * 1e-5
    numeric = (loss(theta + step) - loss(theta - step)) / 2e-5
    vae.theta[:] = theta
    np.testing.assert_allclose(exact.gradients["encoder"] @ off, numeric, rtol=1e-7)


@models
def test_a_model_is_saved_loaded_copied_and_pickled(latents, prior, tmp_path):
    vae, x = small(latents, prior, dtype="float32")
    vae.save(tmp_path / "model.npz")
    others = tv.VAE.load(tmp_path / "model.npz"), copy.deepcopy(vae), pickle.loads(pickle.dumps(vae))
    for other in others:
        assert other.config == vae.config and other.prior.name == vae.prior.name and other.family == vae.family
        np.testing.assert_array_equal(other.encode(x).params, vae.encode(x).params)
        np.testing.assert_array_equal(*(one.sample(5, np.random.default_rng(3)) for one in (other, vae)))
        if prior:  # what it samples by lives in its theta
            other.theta[-1] += 1
            np.testing.assert_array_equal(other.prior.logits.ravel()[-1], other.theta[-1])
            assert other.theta[-1] != vae.theta[-1]


@models
def test_a_model_of_discrete_latents_does_what_models_do(latents, prior):
    vae, x = small(latents, prior, dtype="float32")
    x, rng = np.repeat(x, 30, axis=0), np.random.default_rng(4)
    before = vae.held_out(x).loss
    history = tv.fit(vae, x, estimator="leave_one_out", n_samples=2, epochs=3, optimizer=tv.Adam(1e-2))
    assert vae.held_out(x).loss < before and len(history.loss) == 6
    q = vae.encode(x)
    assert q.probs.shape == (120, vae.code_size) and vae.sample(7, rng).shape == (7, 6)
    states, weights = q.nodes()
    best = states[weights.argmax(axis=0), np.arange(120)]
    np.testing.assert_array_equal(vae.reconstruct(x), vae.decode(best).mean)  # at a state, as it was trained
    assert np.isfinite(vae.log_likelihood(x, 50, rng)).all()


def test_ten_ways_are_what_categorical_is_without_a_number():
    vae = tv.VAE(6, 2, (4,), latents="categorical")
    assert vae.family == OneHot(10) and vae.code_size == 20 and vae.config["latents"]["n_ways"] == 10
    assert distributions.resolve(vae.config["latents"]) == OneHot(10)
    assert distributions.resolve({"name": "categorical", "n_ways": 3}) == OneHot(3)


# --- what does not fit ------------------------------------------------------------------------------------

Q, Z = tv.Binary(LOGITS), np.zeros((2, 2, 3))
WRONG = {
    "logits of one axis": (lambda: tv.Binary(np.zeros(3)), ValueError, "logits"),
    "logits of whole numbers": (lambda: tv.Binary(np.zeros((2, 3), int)), TypeError, "logits"),
    "a logit that is not finite": (lambda: tv.Binary(np.array([[np.nan]])), ValueError, "logits"),
    "one way": (lambda: tv.Categorical(WAYS, 1), ValueError, "n_ways must be at least 2"),
    "ways that do not divide": (lambda: tv.Categorical(WAYS, 4), ValueError, "groups of n_ways = 4 columns, got 6"),
    "one way in a model": (lambda: OneHot(1), ValueError, "n_ways must be at least 2"),
    "half a way": (lambda: OneHot(2.5), TypeError, "n_ways must be an integer"),
    "noise of another shape": (lambda: Q.sample(np.full((2, 2, 2), 0.5)), ValueError, "eps"),
    "noise of another dtype": (lambda: Q.sample(np.full((2, 2, 3), 0.5, "float32")), TypeError, "eps"),
    "normal noise": (lambda: Q.sample(Z - 1), ValueError, r"eps must be uniform, in \(0, 1\), got -1"),
    "normal noise for groups": (
        lambda: tv.Categorical(WAYS, 3).sample(np.full((2, *WAYS.shape), 1.5)), ValueError, "must be uniform.* got 1.5",
    ),
    "z of another shape": (lambda: Q.score(Z[:, :1]), ValueError, "z"),
    "13 bits": (lambda: tv.Binary(np.zeros((1, 13))).nodes(), ValueError, "at most 12 bits, got 13"),
    "too many states": (lambda: tv.Categorical(np.zeros((1, 70)), 10).nodes(), ValueError, r"4096 states, got 10\^7"),
    "a prior's infinite logit": (lambda: Bits(np.inf), ValueError, "logits"),
    "a prior's logits of other ways": (lambda: Categories(3, np.zeros((2, 4))), ValueError, "logits"),
    "a normal prior": (lambda: tv.VAE(4, 2, latents="binary", prior="standard_normal"), TypeError, "does not fit"),
    "bits for a Gaussian": (lambda: tv.VAE(4, 2, prior="bits"), TypeError, "does not fit"),
    "bits for groups": (lambda: tv.VAE(4, 2, latents="categorical", prior="bits"), TypeError, "does not fit"),
    "ways that the prior has not": (
        lambda: tv.VAE(4, 2, latents=OneHot(3), prior=Categories(4)), TypeError, "does not fit",
    ),
    "ways that the prior has not, where the numbers divide": (
        lambda: tv.VAE(4, 3, latents=OneHot(4), prior=Categories(3)), TypeError, r"a draw must have shape \(1, 12\)",
    ),
    "a distribution's prior of other ways": (
        lambda: tv.Categorical(WAYS, 3, Categories(2)), TypeError, r"own is Categories\(3\).*a draw must have shape",
    ),
    "a distribution's prior of other bits": (lambda: tv.Binary(LOGITS, Bits(np.zeros(2))), TypeError, "does not fit"),
    "a distribution's prior by name": (lambda: tv.Binary(LOGITS, "bits"), TypeError, "prior must be a prior"),
    "a prior of other bits": (
        lambda: tv.VAE(4, 3, latents="binary", prior=Bits(np.zeros(2))), TypeError, "does not fit",
    ),
    "a path": (
        lambda: tv.VAE(4, 2, latents="binary").loss_and_grads(np.zeros((1, 4)), np.full((1, 1, 2), 0.5, "float32")),
        ValueError, "needs q.path, which a Binary does not have",
    ),
}  # fmt: skip


@pytest.mark.parametrize("call, error, words", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_prior_of_its_own_logits_fits_as_many_latents_as_it_has():
    vae = tv.VAE(4, 3, latents="binary", prior=Bits(np.array([0.5, -2.0, 0.0])))
    assert vae.with_dtype("float64").encode(np.zeros((2, 4))).kl().shape == (2,)
    assert tv.TwoLayerVAE(4, 2, 3, (), prior=Bits(np.array([0.5, -2.0, 0.0]))).sample(1, np.random.default_rng(0)).any()


def test_what_priors_are_called():
    assert repr(Bits()) == "Bits()" and repr(LearntCategories(4)) == "LearntCategories(4)"
    assert isinstance(LearntBits().bound(logits=np.zeros(2)), LearntBits)
