"""The contracts hold for what tinyvae does not know: a discrete q, a likelihood that learns, a prior, objectives.

Each toy stands here whole, and goes through training, the laboratory, the exact gradient and the certificate.
"""

import copy
import functools
import importlib
import inspect
import itertools
import pickle
import types

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

import tinyvae as tv
from tinyvae import check, discover, estimators, likelihoods, noise, validate, variance
from tinyvae.distributions import Prior, contract
from tinyvae.machine import team
from tinyvae.models.step import step, step_numpy

# --- a discrete q -----------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class FairBits(Prior):
    """p(z): each bit is 1 with probability sigmoid(logit) = 1/2."""

    logit = 0.0

    def sample(self, rng, n, n_latents, dtype):
        return (rng.random((n, n_latents)) < sigmoid(self.logit)).astype(dtype)

    def log_prob(self, z):
        return (z * self.logit - float(np.logaddexp(0, self.logit))).sum(axis=2)

    def kl_by_latent(self, q):
        same = q.mean * (q.params - self.logit)
        return same - np.logaddexp(0, q.params) + float(np.logaddexp(0, self.logit))

    def kl_grad(self, q):
        return q.mean * (1 - q.mean) * (q.params - self.logit)


class LoadedBits(FairBits):
    """The same with probability sigmoid(-1.2) = 0.23, which no class of distributions takes of itself."""

    logit = -1.2


class Bits:
    """q(z) = prod_k Bernoulli(z_k; sigmoid(logits_k)), z in {0, 1}; noise: uniform."""

    name, blocks, prior = "bits", ("logits",), FairBits()

    def __init__(self, logits, prior=FairBits()):
        self.params, self.prior = logits, prior
        self.mean, self.dtype = sigmoid(logits), logits.dtype

    from_params = classmethod(lambda cls, params, prior=FairBits(): cls(params, prior))
    n_params = staticmethod(lambda n_latents: n_latents)
    noise_shape = staticmethod(lambda n_points, n_latents: (n_points, n_latents))

    @staticmethod
    def draw(rng, n_samples, n_points, n_latents, dtype, scheme):
        from scipy.special import ndtr

        return ndtr(scheme(rng, n_samples, n_points, n_latents, dtype)).astype(dtype)

    def like(self, params):
        return Bits(params, self.prior)

    def split(self, dparams):
        return {"logits": dparams}

    def noise(self, rng, n_samples=1, scheme=noise.independent):
        return self.draw(rng, n_samples, *self.params.shape, self.dtype, scheme or noise.independent)

    def sample(self, eps):
        return (eps < self.mean).astype(self.dtype)

    def log_prob(self, z):
        return (z * self.params - np.logaddexp(0, self.params)).sum(axis=2)

    def score(self, z):
        return z - self.mean

    def log_ratio(self, z, prior=None):
        return (prior or self.prior).log_ratio(self, z)

    def kl(self, prior=None):
        return (prior or self.prior).kl(self)

    def kl_by_latent(self, prior=None):
        return (prior or self.prior).kl_by_latent(self)

    def kl_grad(self, prior=None):
        return (prior or self.prior).kl_grad(self)

    def by_params(self, kl_weights):
        return np.broadcast_to(np.asarray(kl_weights, "float64"), self.params.shape)

    def batch_gradient(self, dparams, objective):
        shares = self.by_params(objective.kl_weights(self)) / len(self.params)
        return self.prior.batch_gradient(self, dparams, shares)

    def _corners(self):
        n = self.params.shape[1]
        return np.stack(np.meshgrid(*[[0.0, 1.0]] * n, indexing="ij"), axis=-1).reshape(-1, n)[:, None, :]  # N, 1, K

    def nodes(self, n_nodes):
        z = np.repeat(self._corners(), len(self.params), axis=1)  # N, B, K
        return z, np.where(z == 1, self.mean, 1 - self.mean).prod(axis=2)

    def exact_gradient(self, values, n_nodes, kl_weight=0.0):
        """d/dlogit_k: p_k (1 - p_k) (E[f | z_k = 1] - E[f | z_k = 0])."""
        z, gradient = self._corners(), np.empty_like(self.params)
        for k in range(z.shape[2]):
            others = np.delete(np.where(z == 1, self.mean, 1 - self.mean), k, axis=2).prod(axis=2)  # N, B
            ends = [(values * others)[z[:, 0, k] == one].sum(axis=0) for one in (0, 1)]  # B each
            gradient[:, k] = self.mean[:, k] * (1 - self.mean[:, k]) * (ends[1] - ends[0])
        return gradient + kl_weight * self.kl_grad()


LOGITS = np.array([[0.7, -0.4, 1.1], [-1.2, 0.3, 0.1]])
TOY = tv.Target(lambda z: (z @ np.array([1.0, -2.0, 0.5]) - 0.3) ** 2)


@pytest.mark.parametrize("objective", [tv.ELBO(), tv.ELBO(kl="monte_carlo"), None])
def test_the_exact_gradient_of_bits_is_the_slope_of_the_exact_mean(objective):
    exact = check.exact_gradient(Bits(LOGITS), TOY, objective)

    def mean(logits):
        loss, _ = check.exact_loss(Bits(logits), TOY, objective)
        return loss

    for k in range(3):
        step_ = np.zeros_like(LOGITS)
        step_[:, k] = 1e-5
        np.testing.assert_allclose(exact[:, k], (mean(LOGITS + step_) - mean(LOGITS - step_)) / 2e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["score_function", "leave_one_out", "optimal_constant", "moving_average"])
def test_bits_go_through_the_laboratory_unchanged(name):
    # p is Bonferroni's, of all 6 coordinates, at 0.0001 for each of 4 names: a false alarm once in 2,500 seeds.
    q = Bits(LOGITS)
    report = variance.measure_target(q, TOY, [name], n_draws=20_000, n_samples=2, n_timings=1)[name]
    assert list(report.mean) == ["logits"]
    assert variance.bias(report, check.exact_gradient(q, TOY), "logits").p > 1e-4
    assert report.evaluations == 2


def test_the_variance_of_a_bit_is_the_exact_one():
    # One bit, f = D z + f0: Var = p (1 - p) [(1 - p) f1 + p f0]^2. The 95% interval (1.96 standard errors), twice as
    # wide, holds it: a false alarm once in 10,000 seeds.
    p, f0, f1 = 0.75, 0.4, 1.4
    q, target = Bits(np.array([[np.log(p / (1 - p))]])), tv.Target(lambda z: f0 + (f1 - f0) * z[..., 0])
    report = variance.measure_target(q, target, ["score_function"], n_draws=50_000, n_timings=0)["score_function"]
    value, low, high = report.total["logits"].variance
    exact = p * (1 - p) * ((1 - p) * f1 + p * f0) ** 2
    assert 2 * low - value < exact < 2 * high - value and high - low < 0.05 * value


@pytest.mark.parametrize("objective", [None, tv.ELBO(kl="monte_carlo")])
def test_bits_are_certified_and_a_mistake_is_found(objective):
    problem = check.problem("bits", Bits(LOGITS), TOY, objective)
    for name in ("score_function", "leave_one_out"):
        certificate = check.unbiased(name, [problem], (1, 2), max_draws=100_000).assert_passed()
        assert {t.coordinate for t in certificate.tests} >= {"logits[0]", "logits[1]", "logits[2]"}

    def own_sample_in_the_baseline(q, target, eps, objective=None, rng=None):
        z = q.sample(eps)
        f = tv.objectives.Integrand(q, target, objective)(z)
        return tv.Draws(f, (f - f.mean(axis=0))[..., None] * q.score(z))

    assert not check.unbiased(own_sample_in_the_baseline, [problem], (2,), max_draws=100_000).passed


@pytest.mark.parametrize("name", ["reparameterization", "path_derivative", "measure_valued", "delta_method", "relax"])
def test_an_estimator_says_what_a_bit_does_not_have(name):
    with pytest.raises(ValueError, match=rf"{name} needs q\.(path|mu)( or given_path)?, which a Bits does not have"):
        tv.estimators.make(name)(Bits(LOGITS), TOY, np.full((2, 2, 3), 0.5), None, np.random.default_rng(0))


@pytest.mark.parametrize("kl", ["analytic", "monte_carlo"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_vae_of_bits_trains_measures_and_samples(dtype, kl, digits):
    x = (digits[:100] > 0.5).astype("uint8")
    vae = tv.VAE(64, 4, (16,), latents=Bits, dtype=dtype)
    assert vae.sample(3, np.random.default_rng(0)).shape == (3, 64)
    objective = tv.ELBO(kl=kl)
    records = list(tv.train(vae, x, "leave_one_out", objective, tv.Adam(1e-2), n_samples=4, epochs=20, batch_size=50))
    assert np.mean([r.loss for r in records[-4:]]) < 0.8 * records[0].loss
    assert vae.theta.dtype == dtype and vae.encode(x).params.shape == (100, 4)
    reports = variance.measure(vae, x[:10], ["score_function", "leave_one_out"], objective, n_draws=50, n_samples=2)
    assert set(reports["score_function"].mean) == {"logits", "encoder", "decoder"}
    assert tv.evaluate.bound(vae, x).loss < records[0].loss
    values = vae.log_likelihood(x[:5], 50, np.random.default_rng(0))
    assert values.shape == (5,) and np.isfinite(values).all()


def vae_of_bits():
    vae = tv.VAE(6, 3, (5,), latents=Bits, dtype="float64", seed=1, prior=LoadedBits())
    vae.theta *= 2
    return vae, np.random.default_rng(0).integers(0, 2, (2, 6)).astype("uint8")


def exact_loss_of(vae, x, objective):
    """A VAE's loss under an average, in nodes over all z: theta's slope in it is what a step gives on average."""
    q = vae.family.from_params(vae.encode(x).params, vae.prior)
    z, weights = q.nodes(32)
    losses = vae.target(x)(np.ascontiguousarray(z)) + objective.sampled_kl * (q.log_prob(z) - vae.prior.log_prob(z))
    return float((weights * losses).sum(axis=0).mean()) + objective.kl_value(q)


class Dear(tv.objectives.Objective):
    """A KL that grows dearer, KL^2 / 2 for each latent of each data point: no two of them have one weight."""

    def kl_value(self, q):
        return float((q.kl_by_latent() ** 2).sum() / 2 / len(q.params))

    def kl_weights(self, q):
        return q.kl_by_latent()


@pytest.mark.parametrize("objective", [tv.ELBO(0.7), tv.ELBO(0.7, "monte_carlo"), Dear()])
def test_the_mean_gradient_of_a_vae_of_bits_is_the_exact_one(objective, numeric_gradient):
    # The exact loss's central differences, over all 2^3 codes of each point, against leave-one-out, two samples a step:
    # its mean over all 64 pairs of codes, and the laboratory's over many draws.
    vae, x = vae_of_bits()
    exact = numeric_gradient(lambda: exact_loss_of(vae, x, objective), vae.theta)
    mean = np.zeros_like(exact)
    for row in (x[:1], x[1:]):
        z, weights = vae.encode(row).nodes(None)
        for i, j in itertools.product(range(8), repeat=2):
            eps = 1 - np.stack([z[i], z[j]])  # 0 is below each probability, 1 is not
            _, grads = vae.loss_and_grads(row, eps, "leave_one_out", objective)
            mean += weights[i] * weights[j] * grads / 2
    np.testing.assert_allclose(mean, exact, atol=1e-8 * np.abs(exact).max())
    # p is Bonferroni's: a false alarm once in 3,000 seeds, over the three objectives.
    report = variance.measure(vae, x, ["leave_one_out"], objective, 5_000, 2, n_timings=0)["leave_one_out"]
    assert variance.bias(report, exact[: vae.n_encoder], "encoder").p > 1e-4


def held(estimates, log_values, second_moments):
    """exp(an estimate from 50,000 importance samples) is the mean of weights w with E[w^2] / E[w]^2 known."""
    error = np.sqrt((second_moments - 1) / 50_000)
    assert (error < 0.02).all(), "too heavy a tail to tell anything"
    assert (np.abs(np.exp(estimates - log_values) - 1) < 4.5 * error).all()  # of 6 points: once in 25,000 seeds


def test_a_vae_of_bits_is_evaluated_with_its_prior():
    vae, x = vae_of_bits()
    z, weights = vae.encode(x).nodes(None)
    p = sigmoid(-1.2)
    log_p = np.log(np.where(z == 1, p, 1 - p)).sum(axis=2)  # 8, B
    assert abs(tv.evaluate.bound(vae, x).kl - (weights * (np.log(weights) - log_p)).sum(axis=0).mean()) < 1e-12
    log_w = log_p - np.log(weights) - vae.target(x)(z)
    found = vae.log_likelihood(x, 50_000, np.random.default_rng(0))
    exact, squares = (logsumexp(np.log(weights) + power * log_w, axis=0) for power in (1, 2))
    held(found, exact, np.exp(squares - 2 * exact))
    codes = (np.random.default_rng(0).random((9, 3)) < p).astype("float64")
    np.testing.assert_array_equal(vae.sample(9, np.random.default_rng(0)), vae.decode(codes).mean)


# --- a likelihood with a parameter of its own ---------------------------------------------------------------


class SharedGaussian:
    """x_d ~ N(outputs_d, exp(logvar_d)), logvar learnt, one a pixel."""

    name, outputs, is_density = "shared gaussian", 1, True

    def check(self, name, x, n_features):
        return validate.array(name, x, ("n", n_features))

    def parameters(self, n_features):
        return {"logvar": np.full(n_features, -1.0)}

    def loss(self, outputs, x, losses, logvar):
        off = outputs - np.resize(x, outputs.shape)
        losses[:] = 0.5 * (off * off / np.exp(logvar) + logvar + np.log(2 * np.pi)).sum(axis=1)

    def loss_and_slope(self, outputs, x, losses, logvar):
        self.loss(outputs, x, losses, logvar)
        outputs[:] = (outputs - np.resize(x, outputs.shape)) / np.exp(logvar)

    def own_gradients(self, outputs, x, weights, logvar):
        off = outputs - x
        return {"logvar": weights @ (0.5 * (1 - off * off / np.exp(logvar)))}

    def __call__(self, outputs, logvar):
        return types.SimpleNamespace(mean=outputs, std=np.exp(0.5 * logvar))


def gaussian_vae(dtype="float64", **options):
    vae = tv.VAE(5, 2, (4,), likelihood=SharedGaussian(), dtype=dtype, seed=1, **options)
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(dtype)
    return vae, x, vae.noise(np.random.default_rng(1), 3, 6)


class Counts:
    """x_d ~ Poisson(exp(outputs_d)), -log p but for log x!. It lets all whole numbers from 0 pass, and computes -x."""

    name, outputs, is_density = "counts", 1, False

    def check(self, name, x, n_features):
        return np.asarray(x)

    def parameters(self, n_features):
        return {}

    def loss(self, outputs, x, losses):
        losses[:] = (np.exp(outputs) + -np.resize(x, outputs.shape) * outputs).sum(axis=1)

    def loss_and_slope(self, outputs, x, losses):
        self.loss(outputs, x, losses)
        outputs[:] = np.exp(outputs) + -np.resize(x, outputs.shape)

    def __call__(self, outputs):
        return types.SimpleNamespace(mean=np.exp(outputs))


@pytest.mark.parametrize("highest", [1, 9])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool", "float64"])
def test_data_of_any_type_train_and_measure_as_floats_do_where_a_likelihood_takes_no_bits(dtype, highest):
    x = (np.random.default_rng(0).integers(0, highest + 1, (100, 200)) * (np.arange(200) < 40)).astype(dtype)

    def found(x):
        vae = tv.VAE(200, 2, (100,), likelihood=Counts())  # large enough that bits would not be multiplied
        tv.fit(vae, x, epochs=1, batch_size=50)
        loss, grads = vae.loss_and_grads(x, vae.noise(np.random.default_rng(0), 1, 100))
        report = variance.measure(vae, x[:5], ["reparameterization"], n_draws=3, n_timings=1)["reparameterization"]
        return vae.theta, loss, grads, report.mean["encoder"], tv.evaluate.bound(vae, x)

    for one, other in zip(found(x), found(x.astype("float32"))):
        np.testing.assert_array_equal(one, other)


def test_uint8_is_bits_only_where_it_holds_nothing_else():
    class OfBits(Counts):
        takes_bits = True

    bits, counts = np.eye(6, dtype="uint8"), np.arange(36, dtype="uint8").reshape(6, 6)
    vae = tv.VAE(6, 2, (4,), likelihood=OfBits())
    assert vae.check_data(bits).dtype == vae.check_data(bits > 0).dtype == "uint8"
    assert vae.check_data(counts).dtype == "float32" and vae.check_data(bits.astype("float64")).dtype == "float64"
    assert tv.VAE(6, 2, (4,), likelihood=Counts()).check_data(bits).dtype == "float32"


def test_what_a_check_of_one_s_own_lets_pass_is_told_by_its_name():
    vae = tv.VAE(6, 2, (4,), likelihood=Counts())
    for x, error, message in (
        (np.full((2, 6), np.nan), ValueError, "x must be finite, got nan"),
        (np.zeros((2, 6), object), TypeError, "x must be real numbers, got object"),
        (np.zeros((2, 5)), ValueError, r"x must have shape \(n, 6\)"),
    ):
        with pytest.raises(error, match=message):
            tv.fit(vae, x)


def test_its_parameter_lives_at_the_end_of_theta():
    vae, _, _ = gaussian_vae()
    assert list(vae.params)[-1] == "likelihood.logvar" and len(vae.theta) == vae.n_encoder + vae.n_decoder + 5
    np.testing.assert_array_equal(vae.theta[-5:], -1)
    vae.params["likelihood.logvar"][0] = 7
    assert vae.theta[-5] == vae.own["logvar"][0] == 7


@pytest.mark.parametrize("objective", [tv.ELBO(), tv.ELBO(0.5, "monte_carlo"), tv.ImportanceWeighted()])
def test_its_gradient_is_the_slope_of_the_loss(objective, numeric_gradient):
    vae, x, eps = gaussian_vae()
    _, grads = vae.loss_and_grads(x, eps, objective=objective)
    numeric = numeric_gradient(lambda: vae.loss_and_grads(x, eps, objective=objective)[0], vae.theta)
    np.testing.assert_allclose(grads, numeric, atol=1e-7 * np.abs(numeric).max())
    both = [np.empty_like(grads) for _ in range(2)]
    for function, out in zip((step, step_numpy), both):
        function(vae, x, eps, tv.estimators.reparameterization, objective, None, out)
        np.testing.assert_allclose(out, grads, rtol=1e-10, atol=1e-12)


def test_it_trains_is_evaluated_measured_saved_and_loaded(tmp_path):
    vae, x, _ = gaussian_vae("float32")
    before = tv.evaluate.bound(vae, x).loss
    tv.fit(vae, x, epochs=200, optimizer=tv.Adam(1e-2))
    assert tv.evaluate.bound(vae, x).loss < before - 1
    assert (vae.params["likelihood.logvar"] != -1).all()
    assert np.isfinite(vae.log_likelihood(x, 20, np.random.default_rng(0))).all()
    report = variance.measure(vae, x, ["reparameterization"], n_draws=5, n_timings=1)["reparameterization"]
    assert report.mean["decoder"].shape == (vae.n_decoder,)
    vae.save(tmp_path / "model.npz")
    with pytest.raises(
        ValueError, match=r"has likelihood 'shared gaussian', not known by name: give it.*likelihood=\.\.\."
    ):
        tv.VAE.load(tmp_path / "model.npz")
    again = tv.VAE.load(tmp_path / "model.npz", likelihood=SharedGaussian())
    np.testing.assert_array_equal(again.theta, vae.theta)
    learnt = np.exp(vae.theta[-5:] / 2)
    for model in (vae, again):
        np.testing.assert_allclose(model.decode(np.zeros((1, 2), "float32")).std, learnt, rtol=1e-6)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda vae: pickle.loads(pickle.dumps(vae))])
def test_a_copy_learns_all_that_theta_holds(duplicate, tmp_path):
    vae, x, eps = gaussian_vae()
    vae.loss_and_grads(x, eps)  # what it remembers of a step is not copied
    untouched, twin = vae.theta.copy(), duplicate(vae)
    twin.theta -= 0.1 * twin.loss_and_grads(x, eps)[1]
    for name, view in twin.params.items():
        assert np.shares_memory(view, twin.theta), name
    for networks in (twin.encoder, twin.decoder):
        assert all(np.shares_memory(view, twin.theta) for view in networks.params.values())
    assert np.shares_memory(twin.own["logvar"], twin.theta)
    twin.save(tmp_path / "twin.npz")
    loaded = tv.VAE.load(tmp_path / "twin.npz", likelihood=SharedGaussian())
    assert loaded.loss_and_grads(x, eps)[0] == twin.loss_and_grads(x, eps)[0]
    shares = duplicate is copy.copy  # a shallow copy is the same model
    np.testing.assert_array_equal(vae.theta, twin.theta if shares else untouched)


def test_a_thing_that_is_no_likelihood_is_named():
    with pytest.raises(TypeError, match="which lacks name, outputs, is_density, check"):
        tv.VAE(5, 2, likelihood=object())
    assert "bernoulli" in likelihoods.names() and tv.Bernoulli.outputs == 1 and not tv.Bernoulli.is_density


@pytest.mark.parametrize("name", ["reparameterization", "delta_method", "measure_valued"])
def test_its_gradient_is_right_where_a_second_thread_makes_it(name, monkeypatch):
    # These estimators ask for f elsewhere between the passes.
    monkeypatch.setenv("TINYVAE_WORKERS", "2")
    vae = tv.VAE(64, 2, (200, 200), likelihood=SharedGaussian(), dtype="float64", seed=1)
    rng = np.random.default_rng(0)
    x, eps, estimator = rng.normal(size=(200, 64)), rng.standard_normal((4, 200, 2)), tv.estimators.make(name)
    plain, fast = np.empty_like(vae.theta), np.empty_like(vae.theta)
    step_numpy(vae, x, eps, estimator, tv.ELBO(), np.random.default_rng(1), plain)
    with team.ready():
        for _ in range(10):
            step(vae, x, eps, estimator, tv.ELBO(), np.random.default_rng(1), fast)
            np.testing.assert_allclose(fast, plain, rtol=1e-9, atol=1e-11 * np.abs(plain).max())


# --- another prior ------------------------------------------------------------------------------------------


class Shifted(Prior):
    """p(z) = N(1, 4 I)."""

    def sample(self, rng, n, n_latents, dtype):
        return (1 + 2 * rng.standard_normal((n, n_latents))).astype(dtype)

    def log_prob(self, z):
        return (-0.5 * ((z - 1) / 2) ** 2 - np.log(2) - 0.5 * np.log(2 * np.pi)).sum(axis=2)

    def log_prob_grad(self, z):
        return -(z - 1) / 4

    def kl_by_latent(self, q):
        return 0.5 * ((q.std**2 + (q.mu - 1) ** 2) / 4 - 1 - q.logvar + np.log(4))

    def kl_grad(self, q):
        return q.join((q.mu - 1) / 4, 0.5 * (q.std**2 / 4 - 1))


class Precise(Shifted):
    """The same of numbers in float64, which make float64 of what they meet."""

    def log_prob(self, z):
        return np.float64(1) * super().log_prob(z)

    def log_prob_grad(self, z):
        return np.float64(1) * super().log_prob_grad(z)


@pytest.mark.parametrize("estimator, objective", [
    ("reparameterization", tv.ELBO(np.float64(0.5), "monte_carlo")), ("score_function", tv.ELBO(kl="monte_carlo")),
    ("reparameterization", tv.ImportanceWeighted()), ("dreg", tv.ImportanceWeighted()),
])  # fmt: skip
def test_a_prior_of_another_precision_does_not_change_a_model_s(estimator, objective):
    x = np.eye(6, dtype="float32")

    def loss_and_grads(prior):
        vae = tv.VAE(6, 2, (4,), prior=prior)
        return vae.loss_and_grads(x, vae.noise(np.random.default_rng(0), 3, 6), estimator, objective)

    (loss, grads), (found, found_grads) = map(loss_and_grads, (Shifted(), Precise()))
    assert found_grads.dtype == "float32"
    np.testing.assert_allclose([found, *found_grads], [loss, *grads], rtol=1e-4, atol=1e-5)


def test_nothing_hard_codes_the_prior():
    rng = np.random.default_rng(0)
    q = tv.DiagonalGaussian(rng.normal(size=(3, 2)), rng.normal(size=(3, 2)), Shifted())
    z, weights = q.nodes(40)
    np.testing.assert_allclose(q.kl(), (weights * q.log_ratio(np.ascontiguousarray(z))).sum(axis=0), rtol=1e-10)
    standard = tv.distributions.StandardNormal()
    np.testing.assert_allclose(q.kl(standard), tv.DiagonalGaussian(q.mu.copy(), q.logvar.copy()).kl(), rtol=1e-15)
    np.testing.assert_allclose(q.kl_by_latent(standard).sum(axis=1), q.kl(standard), rtol=1e-13)


@pytest.mark.parametrize("objective", [tv.ELBO(2.0), tv.ELBO(2.0, "monte_carlo"), tv.ImportanceWeighted()])
def test_a_vae_with_another_prior_has_its_gradient(objective, numeric_gradient, digits):
    vae = tv.VAE(5, 2, (4,), dtype="float64", prior=Shifted())
    x = np.random.default_rng(0).random((3, 5))
    eps = vae.noise(np.random.default_rng(1), 2, 3)
    _, grads = vae.loss_and_grads(x, eps, objective=objective)
    numeric = numeric_gradient(lambda: vae.loss_and_grads(x, eps, objective=objective)[0], vae.theta)
    np.testing.assert_allclose(grads, numeric, atol=1e-7 * np.abs(numeric).max())
    names = ["score_function"] if objective.averages else ["vimco"]
    report = variance.measure(vae, x, names, objective, 8_000, 2, n_timings=0)[names[0]]
    exact = tv.problems.vae_gradient(vae, x, objective, n_samples=2)
    for block in ("mu", "logvar", "encoder"):  # Bonferroni at 0.001 in 9 cases: a false alarm once in 100 seeds
        assert variance.bias(report, exact.gradients[block], block).p > 0.001
    assert abs(vae.prior.sample(np.random.default_rng(0), 4000, 2, "float64").mean() - 1) < 0.1


def test_evaluation_takes_the_model_s_prior_and_what_its_likelihood_has_learnt():
    vae, x, _ = gaussian_vae(prior=Shifted())
    vae.decoder.theta *= 2
    vae.params["encoder.b1"][2:] = 2.2  # q is wide enough for the importance weights to have a variance
    vae.params["likelihood.logvar"][:] = np.linspace(0.5, 2, 5)
    q, std = vae.encode(x), np.exp(np.linspace(0.25, 1, 5))

    def log_p_of_x(z):  # N, B or 1, K -> N, B
        means, _ = vae.decoder.propagate(np.ascontiguousarray(z.reshape(-1, 2)))
        return norm.logpdf(x, means.reshape(*z.shape[:2], 5), std).sum(axis=2)

    def log_q_and_p(z):
        return norm.logpdf(z, q.mu, np.exp(q.logvar / 2)).sum(axis=2), norm.logpdf(z, 1, 2).sum(axis=2)

    found = tv.evaluate.bound(vae, x, seed=3)
    z, weights = q.nodes(32)
    log_q, log_p = log_q_and_p(z)
    np.testing.assert_allclose(found.kl, (weights * (log_q - log_p)).sum(axis=0).mean(), rtol=1e-10)
    z = q.mu + np.exp(q.logvar / 2) * np.random.default_rng(3).standard_normal((1, 6, 2))  # the bound's own noise
    np.testing.assert_allclose(found.reconstruction, -log_p_of_x(z).mean(), rtol=1e-12)

    eps, weights = check.gauss_hermite(60, 2)  # of the prior
    z = 1 + 2 * eps[:, None]  # N, 1, K
    log_x = log_p_of_x(z)
    log_q, log_p = log_q_and_p(z)
    exact = logsumexp(np.log(weights)[:, None] + log_x, axis=0)
    squares = logsumexp(np.log(weights)[:, None] + 2 * log_x + log_p - log_q, axis=0)
    held(vae.log_likelihood(x, 50_000, np.random.default_rng(0)), exact, np.exp(squares - 2 * exact))


def test_a_model_draws_from_its_prior_and_decodes_with_what_its_likelihood_has_learnt():
    vae, _, _ = gaussian_vae(prior=Shifted())
    z = 1 + 2 * np.random.default_rng(0).standard_normal((7, 2))
    means, _ = vae.decoder.propagate(z)
    np.testing.assert_allclose(vae.sample(7, np.random.default_rng(0)), means, rtol=1e-13)
    vae.params["likelihood.logvar"][:] = np.linspace(0.5, 2, 5)
    np.testing.assert_allclose(vae.decode(z).std, np.exp(np.linspace(0.25, 1, 5)), rtol=1e-13)
    np.testing.assert_array_equal(vae.decode(z).mean, means)


def test_a_prior_of_one_s_own_is_asked_for_when_the_model_is_loaded(tmp_path):
    vae = tv.VAE(5, 2, (4,), prior=Shifted())
    vae.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="has prior .a prior of one.s own., not known by name"):
        tv.VAE.load(tmp_path / "model.npz")
    assert isinstance(tv.VAE.load(tmp_path / "model.npz", prior=Shifted()).prior, Shifted)


def test_a_prior_that_does_not_fit_the_latents_is_refused_when_the_model_is_made():
    for options in (dict(prior=FairBits()), dict(latents=Bits, prior=tv.distributions.StandardNormal())):
        with pytest.raises(TypeError, match="the prior .* does not fit latents of '(gaussian|bits)'"):
            tv.VAE(5, 2, (4,), **options)
    assert isinstance(tv.VAE(5, 2, (4,), prior="standard_normal").prior, tv.distributions.StandardNormal)
    with pytest.raises(ValueError, match="prior must be one of .*.standard_normal., .learnt_normal.*, got 'uniform'"):
        tv.VAE(5, 2, (4,), prior="uniform")
    with pytest.raises(TypeError, match="latents must be a name or a class .* which lacks"):
        tv.VAE(5, 2, (4,), latents=object)


# --- objectives of a reader's own ---------------------------------------------------------------------------


class FreeBits(tv.objectives.Objective):
    """The ELBO in which a latent's KL, averaged over the batch, costs at least `free` nats (Kingma et al. 2016)."""

    def __init__(self, free):
        self.free = free

    def kl_value(self, q):
        return float(np.maximum(q.kl_by_latent().mean(axis=0), self.free).sum())

    def kl_weights(self, q):
        return np.broadcast_to(q.kl_by_latent().mean(axis=0) > self.free, q.mean.shape)


class Renyi:
    """The variational Renyi bound: -1/(1 - alpha) log mean w^(1 - alpha) (Li & Turner 2016); no subclass."""

    averages, sampled_kl = False, 1.0

    def __init__(self, alpha):
        self.power = 1 - alpha

    def value(self, losses):
        return -np.log(np.exp(-self.power * losses).mean(axis=0)) / self.power

    def weights(self, losses):
        w = np.exp(-self.power * (losses - losses.min(axis=0)))
        return w / w.sum(axis=0)

    def kl_value(self, q):
        return 0.0

    def kl_weights(self, q):
        return 0.0


def vae_for_objectives(**options):
    """Of two latents, of which free bits of 1 nat free one, not the other; no logvar is near 0."""
    vae = tv.VAE(5, 2, (4,), dtype="float64", seed=3, **options)
    vae.theta *= 2
    return vae, np.random.default_rng(0).random((3, 5))


def test_the_model_that_objectives_meet_is_one_that_tells():
    vae, x = vae_for_objectives()
    q = vae.encode(x)
    np.testing.assert_array_equal(FreeBits(1.0).kl_weights(q), [[False, True]] * 3)
    assert np.abs(q.logvar).min() > 0.4 and len(np.unique(Dear().kl_weights(q).round(2))) == 6


@pytest.mark.parametrize("objective", [FreeBits(1.0), FreeBits(0.0), Dear(), Renyi(0.5)],
                         ids=["free bits", "no free bits", "dear KL", "Renyi"])  # fmt: skip
def test_an_objective_of_one_s_own_has_its_gradient_and_trains(objective, numeric_gradient, digits):
    vae, x = vae_for_objectives()
    eps = np.random.default_rng(1).standard_normal((3, 3, 2))
    _, grads = vae.loss_and_grads(x, eps, objective=objective)
    numeric = numeric_gradient(lambda: vae.loss_and_grads(x, eps, objective=objective)[0], vae.theta)
    np.testing.assert_allclose(grads, numeric, atol=1e-7 * np.abs(numeric).max())
    plain = np.empty_like(grads)
    step_numpy(vae, x, eps, tv.estimators.reparameterization, objective, None, plain)
    np.testing.assert_allclose(plain, grads, rtol=1e-9, atol=1e-12)
    other = tv.VAE(64, 2, (8,))
    records = list(tv.train(other, digits, objective=objective, n_samples=3, epochs=3))
    assert records[-1].loss < records[0].loss
    reports = variance.measure(other, digits[:10], ["reparameterization"], objective, 20, 3, n_timings=1)
    assert np.isfinite(reports["reparameterization"].variance["encoder"]).all()


@pytest.mark.parametrize("prior", [None, Shifted()], ids=["standard normal", "N(1, 4)"])
@pytest.mark.parametrize("objective", [FreeBits(1.0), Dear()], ids=["free bits", "dear KL"])
def test_the_laboratory_and_the_exact_gradient_weigh_the_kl_as_the_objective_does(objective, prior, numeric_gradient):
    vae, x = vae_for_objectives(prior=prior)
    theta = vae.theta[: vae.n_encoder]
    numeric = numeric_gradient(lambda: exact_loss_of(vae, x, objective), theta)
    exact = tv.problems.vae_gradient(vae, x, objective).gradients
    np.testing.assert_allclose(exact["encoder"], numeric, atol=1e-4 * np.abs(numeric).max())  # both of 32 nodes
    report = variance.measure(vae, x, ["reparameterization"], objective, 5_000, n_timings=0)["reparameterization"]
    for block in ("mu", "logvar", "encoder"):  # Bonferroni at 0.0001 in 12 cases: a false alarm once in 800 seeds
        assert variance.bias(report, exact[block], block).p > 1e-4


def test_a_weight_for_each_kl_reaches_the_parameters_that_it_depends_on(numeric_gradient):
    rng = np.random.default_rng(0)
    weights, params, dparams = rng.random((3, 2)), rng.normal(size=(3, 4)), rng.normal(size=(5, 3, 4))

    class Weighed(tv.objectives.Objective):
        def kl_weights(self, q):
            return weights

    for prior in (tv.distributions.StandardNormal(), Shifted()):
        q = tv.DiagonalGaussian.from_params(params, prior)
        slope = numeric_gradient(lambda: (weights * q.like(params).kl_by_latent()).sum(), params)
        np.testing.assert_allclose(q.by_params(weights) * q.kl_grad(), slope, atol=1e-9)
        np.testing.assert_allclose(variance.replicates.analytic_kl_grad(q, Weighed()), slope, atol=1e-9)
        batch = (dparams.mean(axis=0) + slope) / 3
        np.testing.assert_allclose(q.batch_gradient(dparams, Weighed()), batch, atol=1e-9)


def test_free_bits_free_a_latent_that_costs_little():
    q = tv.DiagonalGaussian(np.array([[0.1, 2.0]]), np.array([[0.0, 0.0]]))  # KLs .005 and 2
    weights = FreeBits(0.5).kl_weights(q)
    np.testing.assert_array_equal(weights, [[False, True]])
    np.testing.assert_array_equal(q.batch_gradient(np.zeros((1, 1, 4)), FreeBits(0.5)), [[0, 2, 0, 0]])


def test_the_exact_gradient_of_a_bound_of_one_s_own():
    q = tv.DiagonalGaussian(np.array([[0.4], [-0.2]]), np.array([[0.1], [-0.5]]))
    target = tv.Target(lambda z: 0.5 * ((z - 1) ** 2).sum(axis=2), lambda z: z - 1)
    # Order 0 is the importance-weighted bound, whose exact gradient comes another way.
    bound = check.exact_gradient(q, target, tv.ImportanceWeighted(), 96, n_samples=2)
    np.testing.assert_allclose(check.exact_gradient(q, target, Renyi(0.0), 96, n_samples=2), bound, rtol=1e-7)
    found, _ = check.exact_mean("reparameterization", q, target, Renyi(0.5), n_samples=2, n_nodes=32)
    np.testing.assert_allclose(check.exact_gradient(q, target, Renyi(0.5), 32, n_samples=2), found, rtol=1e-8)


def test_the_exact_gradient_of_a_bound_takes_q_s_prior(numeric_gradient):
    # Two samples' bound, by quadrature over both, its losses written out with p(z) = N(1, 4).
    eps, weights = check.gauss_hermite(48, 2)
    params = np.array([[0.4, 0.1]])  # mu, logvar

    def value(objective):
        z = params[0, 0] + np.exp(params[0, 1] / 2) * eps  # N, S
        log_q = norm.logpdf(z, params[0, 0], np.exp(params[0, 1] / 2))
        losses = 0.5 * (z - 1) ** 2 + log_q - norm.logpdf(z, 1, 2)
        return float(weights @ objective.value(losses.T))

    target = tv.Target(lambda z: 0.5 * ((z - 1) ** 2).sum(axis=2), lambda z: z - 1)
    for objective in (tv.ImportanceWeighted(), Renyi(0.0), Renyi(0.5)):
        numeric = numeric_gradient(lambda: value(objective), params)
        q = tv.DiagonalGaussian.from_params(params.copy(), Shifted())
        np.testing.assert_allclose(check.exact_gradient(q, target, objective, 48, n_samples=2), numeric, atol=1e-7)
        found, _ = check.exact_mean("reparameterization", q, target, objective, n_samples=2, n_nodes=48)
        np.testing.assert_allclose(found, numeric, atol=1e-7)


def test_an_average_refuses_a_bound_of_one_s_own_and_the_other_way_round():
    q, eps = tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1))), np.ones((2, 1, 1))
    with pytest.raises(ValueError, match="would be biased on the importance-weighted bound"):
        tv.estimators.score_function(q, tv.Target(lambda z: z.sum(axis=2)), eps, Renyi(0.5))
    with pytest.raises(ValueError, match="pass objective=tv.ImportanceWeighted"):
        tv.estimators.vimco(q, tv.Target(lambda z: z.sum(axis=2)), eps, FreeBits(1.0))


def test_an_objective_that_lacks_an_answer_is_told_which():
    class Half:
        averages, sampled_kl = True, 0.0

    with pytest.raises(TypeError, match="lacks value, weights, kl_value, kl_weights: derive it from"):
        tv.objectives.check_objective(Half())


@pytest.mark.parametrize(
    "question, wrong, shape, got",
    [
        ("value", lambda losses: losses.mean(), r"\(3,\)", r"\(\)"),
        ("value", lambda losses: losses.mean(axis=1), r"\(3,\)", r"\(2,\)"),
        ("weights", lambda losses: np.full(3, 0.5), r"\(2, 3\)", r"\(3,\)"),
        ("kl_value", lambda q: q.kl(), r"\(\)", r"\(3,\)"),
    ],
)
@pytest.mark.parametrize("averages", [True, False])
def test_an_answer_of_another_shape_is_named(question, wrong, shape, got, averages):
    objective = tv.objectives.Objective()
    vars(objective).update({"averages": averages, question: wrong})
    vae, x = vae_for_objectives()
    eps = np.random.default_rng(1).standard_normal((2, 3, 2))
    with pytest.raises(ValueError, match=f"the objective's {question} must have shape {shape}, got {got}"):
        vae.loss_and_grads(x, eps, objective=objective)


def test_an_objective_keeps_the_array_that_it_answers_with():
    objective, kept = tv.objectives.Objective(), np.full((2, 3), 0.5)
    objective.weights = lambda losses: kept
    vae, x = vae_for_objectives()
    eps = np.random.default_rng(1).standard_normal((2, 3, 2))
    for _ in range(2):
        grads = vae.loss_and_grads(x, eps, objective=objective)[1]
        np.testing.assert_array_equal(grads, vae.loss_and_grads(x, eps, objective=tv.objectives.Objective())[1])


# --- what an estimator says of itself -----------------------------------------------------------------------


def test_facts_stand_beside_the_mathematics():
    facts = {name: one.traits for name, one in estimators.ESTIMATORS.items()}
    assert {name for name, one in facts.items() if one.independent} == {
        "leave_one_out",
        "optimal_constant",
        "dreg",
        "vimco",
    }
    assert {name for name, one in facts.items() if one.samples == 2} == {"leave_one_out", "optimal_constant", "vimco"}
    assert estimators.names("bound") == ["reparameterization", "dreg", "vimco"]
    biased = {"straight_through", "gumbel_softmax", "straight_through_gumbel_softmax"}
    assert {name for name, one in facts.items() if one.biased} == biased


class Noting:
    """A q that notes what it is asked of what not every q has; what it asks itself on the way does not count."""

    always = {*contract.NEEDED, "params", "mean", "dtype"} - {"score"} | {"log_ratio_grad"}  # the last: the prior's

    def __init__(self, q):
        self.q, self.asked = q, set()

    def __getattr__(self, name):
        if name not in self.always:
            self.asked.add(name)
        return getattr(self.q, name)


FAMILIES = {
    "gaussian": tv.DiagonalGaussian(np.zeros((2, 2)), np.zeros((2, 2))),
    "binary": tv.Binary(np.zeros((2, 2))),
    "categorical": tv.Categorical(np.zeros((2, 6)), 3),
}


@pytest.mark.parametrize(
    "name, family", [(name, family) for family, q in FAMILIES.items() for name in sorted(estimators.names(q=q))]
)
def test_they_are_the_facts(name, family):
    """What is said of q and f is what is asked: a target and a q that note it."""
    said = estimators.ESTIMATORS[name].traits
    target = tv.Target(lambda z: (z**2).sum(axis=2), lambda z: 2 * z)
    q = Noting(FAMILIES[family])
    objective = tv.ImportanceWeighted() if said.objective == "bound" else tv.ELBO()
    own, rng = tv.estimators.make(name), np.random.default_rng(0)
    before = rng.bit_generator.state
    # Without the guard, which asks for all that is said.
    inside = inspect.unwrap(own if inspect.isfunction(own) else type(own).__call__)
    given = () if inspect.isfunction(own) else (own,)
    inside(*given, q, target, q.q.noise(np.random.default_rng(1), 3), objective, rng)
    alternatives = {one for part in said.q for one in part.split(" or ")}
    assert {one for one in q.asked if hasattr(q.q, one)} == {one for one in alternatives if hasattr(q.q, one)}
    assert {name for name, n in (("value", target.evaluations), ("grad", target.gradients)) if n} == set(said.f)
    assert (rng.bit_generator.state != before) == said.draws


def test_every_estimator_is_for_some_family_and_the_discrete_ones_say_what_they_need():
    names = {family: estimators.names(q=q) for family, q in FAMILIES.items()}
    assert set().union(*names.values()) == set(estimators.names())
    assert {"arm", "disarm"} & set(names["gaussian"]) == {"arm"} & set(names["categorical"]) == set()
    facts = {name: one.traits for name, one in estimators.ESTIMATORS.items()}
    assert facts["arm"].words() == "bits" and facts["rebar"].words() == "df/dz, discrete latents"
    assert facts["muprop"].words() == "df/dz, discrete latents"
    assert facts["gumbel_softmax"].words() == "df/dz, discrete latents, biased"
    assert {name for name in names["gaussian"] if "discrete" in facts[name].words()} == set()
    q, target = FAMILIES["gaussian"], tv.Target(lambda z: z.sum(axis=2), np.ones_like)
    for name in set(estimators.names()) - set(names["gaussian"]):
        with pytest.raises(ValueError, match=f"{name} needs q.* which a DiagonalGaussian does not have"):
            tv.estimators.make(name)(q, target, np.full((2, 2, 2), 0.5), None, np.random.default_rng(0))


def test_a_partial_keeps_what_it_needs():
    partial = functools.partial(tv.estimators.leave_one_out, rng=None)
    assert (
        estimators.traits(partial) == tv.estimators.leave_one_out.traits
        and estimators.name_of(partial) == "leave_one_out"
    )
    with pytest.raises(ValueError, match="leave_one_out takes its baseline .* antithetic noise would bias it"):
        noise.require_compatible(noise.antithetic, partial)


def wrapped(q, target, eps, objective=None, rng=None):
    """An estimator inside a reader's own function."""
    return tv.estimators.leave_one_out(q, target, eps, objective)


@pytest.mark.parametrize("scheme", ["antithetic", "sobol"])
def test_an_estimator_inside_a_reader_s_function_keeps_what_it_needs(scheme, digits):
    vae = tv.VAE(64, 2, (8,))
    before = vae.theta.copy()
    with pytest.raises(ValueError, match=f"leave_one_out .* {scheme} noise would bias it"):
        tv.fit(vae, digits, estimator=wrapped, noise=scheme, n_samples=4)
    np.testing.assert_array_equal(vae.theta, before)
    with pytest.raises(ValueError, match=f"{scheme} noise would bias it"):
        variance.measure(vae, digits[:5], [wrapped], noise=scheme, n_samples=4, n_draws=3)
    with pytest.raises(ValueError, match="needs n_samples of at least 2, got 1"):
        tv.fit(vae, digits, estimator=wrapped, n_samples=1)
    assert len(list(tv.train(vae, digits[:50], wrapped, n_samples=4, epochs=1))) == 1  # the refusal is over


def test_a_reader_may_decorate_an_estimator():
    @tv.estimators.estimator(samples=3, objective="average")
    def mine(q, target, eps, objective=None, rng=None):
        return tv.estimators.score_function(q, target, eps, objective)

    q = tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1)))
    with pytest.raises(ValueError, match="mine needs n_samples of at least 3, got 2"):
        mine(q, tv.Target(lambda z: z.sum(axis=2)), np.ones((2, 1, 1)))
    assert "mine" not in estimators.names()


@pytest.mark.parametrize("name, target", [
    ("value", tv.Target(lambda z: np.full(z.shape[:2], np.nan), lambda z: z)),
    ("grad", tv.Target(lambda z: z.sum(axis=2), lambda z: np.full(z.shape, np.inf))),
])  # fmt: skip
def test_a_target_that_is_not_finite_is_named(name, target):
    q = tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1)))
    with pytest.raises(ValueError, match=f"the target's {name} must be finite, got (nan|inf) at index"):
        tv.estimators.reparameterization(q, target, np.ones((1, 1, 1)))


def test_a_name_that_two_files_give_is_refused(tmp_path, monkeypatch):
    def found(name, **files):
        (tmp_path / name).mkdir()
        for file, text in {"__init__": "", **files}.items():
            (tmp_path / name / f"{file}.py").write_text(text)
        package = importlib.import_module(name)
        return discover.by_name(package, lambda one: hasattr(one, "called"), lambda one: one.called)

    monkeypatch.syspath_prepend(tmp_path)
    one = "class One:\n    called = 'one'\n\n\n"
    shows = "__all__ = ['One']\n"
    assert list(found("tinyvae_once", a=one + shows, b="__all__ = []")) == ["one"]
    assert list(found("tinyvae_again", a=one + shows, b="from tinyvae_again.a import One\n" + shows)) == ["one"]
    with pytest.raises(ImportError, match="b.py shows a second 'one': give it another name"):
        found("tinyvae_twice", a=one + shows, b=one + shows)
    with pytest.raises(ImportError, match="b.py has no __all__: list there what it shows"):
        found("tinyvae_mute", a=one + shows, b=one)


def test_one_that_is_biased_by_design_says_so_everywhere():
    @tv.estimators.estimator(biased=True)
    def shrunk(q, target, eps, objective=None, rng=None):
        draws = tv.estimators.score_function(q, target, eps, objective)
        return tv.Draws(draws.f, 0.5 * draws.dparams)

    q = tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1)))
    reports = variance.measure_target(
        q, tv.Target(lambda z: (z**2).sum(axis=2)), [shrunk, "score_function"], n_draws=50
    )
    found = variance.summary(reports)
    assert found["shrunk"].biased and not found["score_function"].biased
    assert variance.plain(reports)["shrunk"]["biased"] and "biased" not in variance.plain(reports)["score_function"]
    assert "biased" in estimators.traits(shrunk).words()
