"""A q of any covariance, and a prior that is learnt: their densities, slopes and KLs, and what they are good for."""

import copy
import pickle

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, norm

import tinyvae as tv
from tinyvae import check, variance
from tinyvae.distributions import FullGaussian, LearntNormal, StandardNormal
from tinyvae.models.step import step, step_numpy

PRIOR = LearntNormal(np.array([0.5, -1.0, 0.2]), np.array([0.4, -0.6, 0.1]))


def full(rows=4, n_latents=3, dtype="float64", prior=StandardNormal(), seed=0):
    params = 0.6 * np.random.default_rng(seed).normal(size=(rows, FullGaussian.n_params(n_latents)))
    return FullGaussian.from_params(params.astype(dtype), prior)


def slope(numeric_gradient, q, value):
    """d sum value(q) / dparams, by central differences."""
    params = q.params.copy()
    return numeric_gradient(lambda: value(q.like(params)).sum(), params)


# --- the distribution ---------------------------------------------------------------------------------------


def test_its_parts_are_what_it_was_made_of():
    rng = np.random.default_rng(0)
    mu, logdiag, lower = rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    q = tv.FullGaussian(mu, logdiag, lower)
    L = q.factor[1]
    np.testing.assert_allclose(np.diag(L), np.exp(logdiag[1]))
    np.testing.assert_array_equal([L[1, 0], L[2, 0], L[2, 1], L[0, 1], L[0, 2], L[1, 2]], [*lower[1], 0, 0, 0])
    np.testing.assert_array_equal(q.join(**q.split(q.params)), q.params)
    for n in range(1, 40):
        assert FullGaussian.from_params(np.zeros((1, FullGaussian.n_params(n)))).mu.shape == (1, n)
    with pytest.raises(ValueError, match=r"lower must have shape \(2, 3\), got \(2, 2\)"):
        tv.FullGaussian(mu, logdiag, lower[:, :2])
    with pytest.raises(TypeError, match="logdiag must be float64, got float32"):
        tv.FullGaussian(mu, logdiag.astype("float32"), lower)


def test_its_density_is_scipys():
    q = full()
    z = np.random.default_rng(1).normal(size=(5, 4, 3))
    for b in range(4):
        wanted = multivariate_normal.logpdf(z[:, b], q.mu[b], q.covariance[b])
        np.testing.assert_allclose(q.log_prob(z)[:, b], wanted, rtol=1e-12)


def test_its_samples_have_its_moments():
    q = full(rows=1)
    z = q.sample(q.noise(np.random.default_rng(0), 20_000))[:, 0]
    std = np.sqrt(q.variance[0])
    np.testing.assert_allclose(z.mean(axis=0), q.mu[0], atol=4 * std.max() / np.sqrt(len(z)))
    off = np.cov(z.T) - q.covariance[0]  # Var of a sample covariance: (C_ii C_jj + C_ij^2) / n, at most 2 C_ii C_jj / n
    assert (np.abs(off) < 4 * np.sqrt(2 / len(z)) * np.outer(std, std)).all()
    np.testing.assert_allclose(q.variance[0], np.diag(q.covariance[0]))


def test_it_is_the_diagonal_gaussian_where_nothing_is_below_the_diagonal():
    rng = np.random.default_rng(2)
    mu, logvar, z = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=(5, 4, 3))
    one, other = tv.DiagonalGaussian(mu, logvar), tv.FullGaussian(mu, logvar / 2, np.zeros((4, 3)))
    for prior in (None, PRIOR):
        for name in ("sample", "log_prob", "log_prob_grad"):
            np.testing.assert_allclose(getattr(other, name)(z), getattr(one, name)(z), rtol=1e-11)
        np.testing.assert_allclose(other.kl(prior), one.kl(prior), rtol=1e-11)
        np.testing.assert_allclose(other.kl_by_latent(prior), one.kl_by_latent(prior), rtol=1e-11)
        np.testing.assert_allclose(other.log_ratio(z, prior), one.log_ratio(z, prior), rtol=1e-11)
        np.testing.assert_allclose(other.log_ratio_grad(z, prior), one.log_ratio_grad(z, prior), rtol=1e-11)
        np.testing.assert_allclose(other.kl_grad(prior)[:, 3:6], 2 * one.kl_grad(prior)[:, 3:], rtol=1e-11)


@pytest.mark.parametrize("prior", [StandardNormal(), PRIOR], ids=["standard", "learnt"])
def test_its_slopes_are_those_of_its_values(prior, numeric_gradient):
    q, rng = full(prior=prior), np.random.default_rng(3)
    z, eps = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 3))
    np.testing.assert_allclose(q.score(z).sum(axis=0), slope(numeric_gradient, q, lambda q: q.log_prob(z)), atol=1e-7)
    grad = numeric_gradient(lambda: q.log_prob(z).sum(), z)
    np.testing.assert_allclose(q.log_prob_grad(z), grad, atol=1e-7)
    grad = numeric_gradient(lambda: q.log_ratio(z).sum(), z)
    np.testing.assert_allclose(q.log_ratio_grad(z), grad, atol=1e-7)
    path = slope(numeric_gradient, q, lambda q: z * q.sample(eps))
    np.testing.assert_allclose(q.path(z, eps).sum(axis=0), path, atol=1e-7)
    weights = rng.random((4, 3))
    for shares in (2.0, weights):
        kl = slope(numeric_gradient, q, lambda q: shares * q.kl_by_latent())
        np.testing.assert_allclose(q.by_params(shares) * q.kl_grad(), kl, atol=1e-7)
    move = 1e-6 * rng.normal(size=q.params.shape)
    moved = (q.like(q.params + move).sample(eps) - q.like(q.params - move).sample(eps)) / 2
    np.testing.assert_allclose(q.moved(np.repeat(move[None], 2, axis=0), eps), moved, atol=1e-13)


@pytest.mark.parametrize("prior", [StandardNormal(), PRIOR], ids=["standard", "learnt"])
def test_its_kl_is_the_integral(prior):
    q = full(prior=prior)
    z, weights = q.nodes(8)  # exact: the integrand is a polynomial of degree 2
    z = np.ascontiguousarray(z)
    np.testing.assert_allclose(q.kl(), (weights * q.log_ratio(z)).sum(axis=0), rtol=1e-11)
    np.testing.assert_allclose(q.kl(), (weights * (q.log_prob(z) - prior.log_prob(z))).sum(axis=0), rtol=1e-11)
    np.testing.assert_allclose(q.kl_by_latent().sum(axis=1), q.kl(), rtol=1e-11)
    assert (q.kl_by_latent() >= 0).all()
    np.testing.assert_allclose(q.entropy(), -(weights * q.log_prob(z)).sum(axis=0), rtol=1e-11)


@pytest.mark.parametrize("prior", [StandardNormal(), PRIOR], ids=["standard", "learnt"])
@pytest.mark.parametrize("objective", [None, tv.ELBO(1.0, "monte_carlo")], ids=["plain", "sampled KL"])
@pytest.mark.parametrize("name", ["score_function", "reparameterization", "path_derivative", "relax"])
def test_estimators_serve_it_unchanged(name, objective, prior):
    prior = prior.bound(**{n: a[:2] for n, a in vars(PRIOR).items()}) if prior is PRIOR else prior
    q = full(2, 2, prior=prior)
    target = tv.Target(lambda z: z[..., 0] ** 2 * z[..., 1] + z[..., 1],
                       lambda z: np.stack([2 * z[..., 0] * z[..., 1], z[..., 0] ** 2 + 1], axis=-1))  # fmt: skip
    found, _ = check.exact_mean(name, q, target, objective, n_nodes=8, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found, check.exact_gradient(q, target, objective, 8), atol=1e-10)


@pytest.mark.parametrize("name", ["measure_valued", "delta_method"])
def test_an_estimator_for_independent_latents_refuses_it(name):
    q = full()
    with pytest.raises(ValueError, match=f"{name}.* full_gaussian|{name}.*FullGaussian"):
        tv.estimators.make(name)(
            q, tv.Target(lambda z: z.sum(axis=2)), np.zeros((2, 4, 3)), None, np.random.default_rng(0)
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("prior", [None, "learnt_normal"])
def test_it_keeps_its_precision(dtype, prior):
    vae = tv.VAE(5, 3, (4,), dtype=dtype, latents="full_gaussian", prior=prior)
    q = vae.encode(np.random.default_rng(0).random((2, 5)).astype(dtype))
    z = q.sample(q.noise(np.random.default_rng(0), 2))
    answers = q.log_prob(z), q.score(z), q.path(z, z), q.kl(), q.kl_grad(), q.log_ratio(z), q.log_ratio_grad(z), z
    assert {a.dtype for a in answers} == {np.dtype(dtype)} == {vae.sample(3, np.random.default_rng(0)).dtype}


# --- what it is good for --------------------------------------------------------------------------------------


def test_it_closes_the_gap_of_a_linear_gaussian_model():
    rng = np.random.default_rng(0)
    model = tv.problems.LinearGaussian(rng.normal(size=(6, 3)), rng.normal(size=6), 0.6)
    x = model.sample(5, rng)
    exact, target = model.log_likelihood(x), model.target(x)
    posterior = model.posterior_q(x)
    np.testing.assert_allclose(model.elbo(posterior, x), exact, rtol=1e-13)
    gap = 0.5 * (np.log(np.diag(model.M)).sum() - np.linalg.slogdet(model.M)[1])
    np.testing.assert_allclose(exact - model.elbo(model.best(x), x), gap, rtol=1e-10)
    # And an optimiser finds it, from N(0, I), by the reparameterization's exact mean.
    eps, weights = check.gauss_hermite(3, 3)
    eps = np.repeat(eps[:, None], 5, axis=1)  # N, B, K

    def loss(params):
        q = FullGaussian.from_params(params.reshape(5, -1))
        draws = tv.estimators.reparameterization(q, target, eps, tv.ELBO())
        gradient = np.einsum("n,nbp->bp", weights, draws.dparams) + q.kl_grad()
        return (weights @ draws.f + q.kl()).sum(), gradient.ravel()

    found = minimize(loss, np.zeros(5 * 9), jac=True, method="BFGS", options={"gtol": 1e-9})
    q = FullGaussian.from_params(found.x.reshape(5, -1))
    assert (exact - model.elbo(q, x)).max() < 1e-8 and gap > 0.1
    np.testing.assert_allclose(found.fun, -exact.sum(), atol=1e-8)
    np.testing.assert_allclose(model.gradient(q, x), 0, atol=1e-6)


def test_a_linear_vae_closes_its_gap_by_it():
    rng = np.random.default_rng(0)
    model = tv.problems.LinearGaussian(rng.normal(size=(6, 2)), rng.normal(size=6), 0.6)
    x = model.sample(5, rng)

    def gap(latents, scale):
        vae = tv.VAE(6, 2, (), likelihood=tv.likelihoods.Gaussian(0.36), dtype="float64", latents=latents)
        vae.params["decoder.W0"][:], vae.params["decoder.b0"][:] = model.W.T, model.m
        encoder = np.linalg.solve(model.M, model.W.T).T  # mu = M^-1 W' (x - m); the rest does not depend on x
        vae.params["encoder.W0"][:] = 0
        vae.params["encoder.W0"][:, :2] = encoder
        vae.params["encoder.b0"][:] = np.concatenate([-model.m @ encoder, scale])
        q = vae.encode(x)
        loss = check.exact_loss(q, vae.target(x), None, 8)[0] + q.kl()
        return loss + model.log_likelihood(x)

    best, posterior = model.best(x), model.posterior_q(x)
    assert np.abs(gap("full_gaussian", posterior.params[0, 2:])).max() < 1e-8
    left = 0.5 * (np.log(np.diag(model.M)).sum() - np.linalg.slogdet(model.M)[1])
    np.testing.assert_allclose(gap("gaussian", best.logvar[0]), left, rtol=1e-9)


def test_the_gradient_of_the_linear_gaussian_model_takes_it(numeric_gradient):
    rng = np.random.default_rng(1)
    model, q = tv.problems.LinearGaussian(rng.normal(size=(6, 3)), rng.normal(size=6), 0.6), full()
    x = model.sample(4, rng)
    numeric = slope(numeric_gradient, q, lambda q: -model.elbo(q, x, 0.7))
    np.testing.assert_allclose(model.gradient(q, x, 0.7), numeric, atol=1e-6)


# --- models of them -----------------------------------------------------------------------------------------


def bound_prior(vae):
    """Means and log-variances other than 0 for a learnt prior."""
    for i, name in enumerate(("mu", "logvar")):
        vae.params[f"prior.{name}"][:] = 0.3 * np.random.default_rng(i).normal(size=vae.n_latents)
    return vae


def test_the_prior_s_parameters_live_at_the_end_of_theta():
    vae = tv.VAE(5, 3, (4,), prior="learnt_normal")
    assert list(vae.params)[-2:] == ["prior.mu", "prior.logvar"]
    assert len(vae.theta) == vae.n_encoder + vae.n_decoder + 6 and not vae.theta[-6:].any()
    plain = tv.VAE(5, 3, (4,))
    np.testing.assert_array_equal(vae.theta[:-6], plain.theta)
    x, rng = np.random.default_rng(0).random((4, 5)).astype("float32"), np.random.default_rng
    eps = vae.noise(rng(0), 2, 4)
    loss, grads = vae.loss_and_grads(x, eps)
    assert loss == pytest.approx(plain.loss_and_grads(x, eps)[0], rel=1e-6) and grads[-6:].all()
    vae.theta[-6:-3] = 7
    np.testing.assert_array_equal(vae.prior.mu, 7)
    assert vae.sample(3, rng(0)).shape == (3, 5) and "prior" not in plain.config
    assert vae.encode(x).kl().min() > plain.encode(x).kl().max()


OBJECTIVES = [tv.ELBO(0.7), tv.ELBO(0.7, "monte_carlo"), tv.ImportanceWeighted(), tv.FreeBits(0.1)]


@pytest.mark.parametrize("latents", ["gaussian", "full_gaussian"])
@pytest.mark.parametrize("objective", OBJECTIVES, ids=["analytic", "sampled", "bound", "free bits"])
def test_a_vae_s_gradient_is_the_slope_of_its_loss(objective, latents, numeric_gradient):
    vae = bound_prior(tv.VAE(5, 2, (4,), dtype="float64", seed=3, latents=latents, prior="learnt_normal"))
    vae.theta[: vae.n_encoder] *= 2
    x, eps = np.random.default_rng(0).random((3, 5)), vae.noise(np.random.default_rng(1), 3, 3)
    _, grads = vae.loss_and_grads(x, eps, objective=objective)
    numeric = numeric_gradient(lambda: vae.loss_and_grads(x, eps, objective=objective)[0], vae.theta)
    np.testing.assert_allclose(grads, numeric, atol=1e-7 * np.abs(numeric).max())
    for function in (step, step_numpy):
        found = np.empty_like(grads)
        function(vae, x, eps, tv.estimators.reparameterization, objective, None, found)
        np.testing.assert_allclose(found, grads, rtol=1e-9, atol=1e-12)


def test_they_are_measured_against_the_exact_gradient():
    vae = bound_prior(tv.VAE(5, 2, (4,), dtype="float64", seed=3, latents="full_gaussian", prior="learnt_normal"))
    x = np.random.default_rng(0).random((3, 5))
    report = variance.measure(vae, x, ["leave_one_out"], n_draws=2_000, n_samples=2, n_timings=0)["leave_one_out"]
    exact = tv.problems.vae_gradient(vae, x).gradients
    assert set(report.mean) == {"mu", "logdiag", "lower", "encoder", "decoder"}
    for block in ("mu", "logdiag", "lower", "encoder"):  # a false alarm once in 250 seeds
        assert variance.bias(report, exact[block], block).p > 0.001


@pytest.mark.parametrize("latents", ["gaussian", "full_gaussian"])
def test_they_train_and_come_back_from_a_file(latents, digits, tmp_path):
    vae = tv.VAE(64, 2, (16,), latents=latents, prior="learnt_normal")
    history = tv.fit(vae, digits, digits[:100], epochs=5, optimizer=tv.Adam(3e-3))
    assert history.validation[-1].loss < history.validation[0].loss and vae.theta[-4:].all()
    vae.save(tmp_path / "model.npz")
    again = tv.VAE.load(tmp_path / "model.npz")
    assert again.config == vae.config and again.config["prior"] == "learnt_normal"
    for one in (again, copy.deepcopy(vae), pickle.loads(pickle.dumps(vae)), copy.copy(vae)):
        np.testing.assert_array_equal(one.prior.mu, vae.prior.mu)
        assert np.shares_memory(one.prior.mu, one.theta)
        assert tv.evaluate.bound(one, digits) == tv.evaluate.bound(vae, digits)
    other = vae.with_dtype("float64")
    assert other.prior.mu.dtype == "float64" and other.config["latents" if latents != "gaussian" else "prior"]
    assert vae.log_likelihood(digits[:5], 100, np.random.default_rng(0)).min() > -100


def test_a_learnt_prior_finds_the_latents_of_the_data():
    # For a fixed q the KL's minimum over priors is the mixture's moments: mean of mu, mean of variance + its spread.
    rng = np.random.default_rng(0)
    q = tv.DiagonalGaussian(rng.normal(2, 1.5, (50, 2)), rng.normal(-1, 0.3, (50, 2)))
    mu, second = q.mu.mean(axis=0), (q.variance + (q.mu - q.mu.mean(axis=0)) ** 2).mean(axis=0)
    best = LearntNormal(mu, np.log(second))
    for gradient in best.kl_gradients(q, np.full((50, 2), 1 / 50)).values():
        np.testing.assert_allclose(gradient, 0, atol=1e-13)
    assert q.kl(best).mean() < q.kl().mean()


def test_a_learnt_prior_draws_from_its_density_and_inverts_its_distribution_function():
    z = PRIOR.sample(np.random.default_rng(0), 20_000, 3, "float64")
    std = np.exp(PRIOR.logvar / 2)
    assert (np.abs(z.mean(axis=0) - PRIOR.mu) < 4.5 * std / np.sqrt(len(z))).all()
    assert (np.abs(z.var(axis=0) / std**2 - 1) < 4.5 * np.sqrt(2 / len(z))).all()  # of a Gaussian's sample variance
    u = np.random.default_rng(1).random((5, 3))
    np.testing.assert_allclose(norm.cdf(PRIOR.quantile(u), PRIOR.mu, std), u, rtol=1e-12)
    np.testing.assert_allclose(PRIOR.log_prob(z[:5, None])[:, 0], norm.logpdf(z[:5], PRIOR.mu, std).sum(axis=1))


def test_free_bits_are_those_of_the_batch_s_mean():
    # KLs (mu^2 / 2) of 0 and 2, mean 1, above 0.6; of 0 and 0.5, mean 0.25, below it.
    q = tv.DiagonalGaussian(np.array([[0.0, 0.0], [2.0, 1.0]]), np.zeros((2, 2)))
    assert tv.FreeBits(0.6).kl_value(q) == pytest.approx(1 + 0.6)
    np.testing.assert_array_equal(tv.FreeBits(0.6).kl_weights(q), [[1, 0], [1, 0]])
