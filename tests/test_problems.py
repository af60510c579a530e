import numpy as np
import pytest
import scipy.stats

import tinyvae as tv
from tinyvae import check, problems, variance

TOYS = [toy.__name__ for toy in problems.named.TOYS]


@pytest.mark.parametrize("options", [{}, {"mu": 0.3, "sigma": 1.7}, {"mu": -0.8, "sigma": 0.4}])
@pytest.mark.parametrize("name", [name for name in TOYS if name not in ("quadratic_offset", "coupled")])
def test_the_closed_forms_of_the_toys_are_those_of_quadrature(name, options):
    p = problems.make(name, **options)
    np.testing.assert_allclose(check.exact_gradient(p.q, p.target, n_nodes=128), p.gradient, rtol=1e-6, atol=1e-9)


def test_the_toys_gradients_are_the_published_ones():
    # Mohamed et al. 2020, section 3, at mu = sigma = 1; d/dlogvar = (sigma / 2) d/dsigma.
    for name, k, dmu, dsigma in (
        ("exp", 0.1, -0.139980, -0.116650),
        ("exp", 1.0, -0.275793, -0.091931),
        ("cosine", 0.5, -0.211546, -0.193616),
    ):
        np.testing.assert_allclose(problems.make(name, k=k).gradient, [[dmu, dsigma / 2]], atol=6e-7)
    np.testing.assert_array_equal(problems.make("quadratic").gradient, [[8, 1]])
    np.testing.assert_array_equal(problems.make("quadratic_offset").gradient, [[8, 1]])


@pytest.mark.parametrize("name", TOYS)
def test_the_toys_slopes_are_those_of_their_values(name):
    p = problems.make(name)
    z = np.random.default_rng(0).standard_normal((4, *p.q.mu.shape))
    for k in range(z.shape[2]):
        step = np.zeros_like(z)
        step[..., k] = 1e-6
        numeric = (p.target(z + step) - p.target(z - step)) / 2e-6
        np.testing.assert_allclose(p.target.grad(z)[..., k], numeric, rtol=1e-5, atol=1e-6)


def test_coupled_is_exact_in_three_latents():
    p = problems.make("coupled", n_latents=3, mu=0.4, sigma=0.6)
    np.testing.assert_allclose(check.exact_gradient(p.q, p.target, n_nodes=6), p.gradient, rtol=1e-12, atol=1e-12)


# --- the linear-Gaussian model ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(4)
    return problems.LinearGaussian(rng.standard_normal((3, 2)), rng.standard_normal(3), 0.7)


def test_likelihood_posterior_and_elbo_fit_together(model):
    # log p(x) = ELBO + KL(q || posterior), and the best diagonal q leaves the gap of REFERENCE, section 4.
    x = model.sample(4, np.random.default_rng(0))
    C = model.W @ model.W.T + model.s**2 * np.eye(3)
    np.testing.assert_allclose(
        model.log_likelihood(x), scipy.stats.multivariate_normal(model.m, C).logpdf(x), rtol=1e-12
    )
    gap = 0.5 * (np.log(np.diag(model.M)).sum() - np.linalg.slogdet(model.M)[1])
    assert gap > 0.01
    np.testing.assert_allclose(model.log_likelihood(x) - model.elbo(model.best(x), x), gap, rtol=1e-10)
    np.testing.assert_allclose(model.gradient(model.best(x), x), 0, atol=1e-10)
    mean, covariance = model.posterior(x)
    joint = scipy.stats.multivariate_normal(model.m + model.W @ mean[0], model.s**2 * np.eye(3)).logpdf(x[0])
    prior, posterior = (
        scipy.stats.multivariate_normal(m, c).logpdf(mean[0])
        for m, c in ((np.zeros(2), np.eye(2)), (mean[0], covariance))
    )
    assert joint + prior - posterior == pytest.approx(model.log_likelihood(x)[0])  # Bayes


@pytest.mark.parametrize("objective", [tv.ELBO(), tv.ELBO(0.5, "monte_carlo"), tv.ELBO(3.0)])
def test_its_exact_gradient_is_that_of_quadrature_and_of_the_elbo(objective):
    p = problems.make("linear_gaussian", objective, seed=3)
    exact = check.exact_gradient(p.q, p.target, objective, n_nodes=6) + objective.analytic_kl * p.q.kl_grad()
    np.testing.assert_allclose(p.gradient, exact, rtol=1e-10, atol=1e-10)


def test_the_likelihood_of_frey_faces_is_the_published_one():
    # REFERENCE, section 4: maximum likelihood for q = 2, 555.8278 nats an image.
    try:
        faces = tv.datasets.load("frey_faces")
    except (FileNotFoundError, ValueError, OSError) as error:
        pytest.skip(str(error))
    x = np.concatenate([faces.train, faces.test]).astype("float64")
    if x.max() > 1:
        x = x / 255
    mean = x.mean(axis=0)
    eigenvalues, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    s2 = eigenvalues[:-2].mean()
    W = vectors[:, -2:] * np.sqrt(eigenvalues[-2:] - s2)
    model = problems.LinearGaussian(np.ascontiguousarray(W), mean, np.sqrt(s2))
    assert model.log_likelihood(x).mean() == pytest.approx(555.8278, abs=0.01)


@pytest.mark.parametrize(
    "objective, names",
    [(tv.ELBO(), ["reparameterization", "leave_one_out"]), (tv.ImportanceWeighted(), ["dreg", "vimco"])],
)
def test_the_estimators_find_it(objective, names):
    # 24 coordinates for each of two estimators, Bonferroni at 0.001 each: a false alarm once in 500 seeds.
    p = problems.make("linear_gaussian", objective, n_samples=4)
    reports = variance.measure_target(p.q, p.target, names, p.objective, 20_000, 4, n_timings=0)
    for report in reports.values():
        for block, exact in zip(("mu", "logvar"), np.split(p.gradient, 2, axis=1)):
            assert variance.bias(report, exact, block).p > 0.001


# --- a real VAE -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_latents, n_nodes", [(1, 128), (2, 48), (3, 20)])
def test_the_exact_gradient_inside_a_vae_is_the_derivative_of_the_exact_loss(n_latents, n_nodes):
    vae = tv.VAE(6, n_latents, (5,), dtype="float64", seed=1)
    x = (np.random.default_rng(0).random((3, 6)) < 0.5).astype("float64")
    found = problems.vae_gradient(vae, x, n_nodes=n_nodes)
    assert found.error < 1e-5
    nodes, weights = check.gauss_hermite(n_nodes, n_latents)
    eps = np.broadcast_to(nodes[:, None], (len(nodes), 3, n_latents))

    def loss(theta):
        vae.theta[: vae.n_encoder] = theta
        q = vae.encode(x)
        f = vae.target(x)(q.sample(eps))
        return float((weights @ f + q.kl()).mean()), found.gradients["encoder"]

    check.gradients(loss, vae.theta[: vae.n_encoder].copy(), tolerance=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "objective, names",
    [
        (tv.ELBO(beta=2.0), ["reparameterization", "score_function"]),
        (tv.ELBO(kl="monte_carlo"), ["path_derivative"]),
        (tv.ImportanceWeighted(), ["dreg", "vimco"]),
    ],
)
def test_the_estimators_are_unbiased_inside_a_vae(objective, names, dtype, digits):
    # Bonferroni at 0.001 in each of three blocks and 10 cases: a false alarm once in 33 seeds.
    vae = tv.VAE(64, 1, (6,), dtype=dtype, seed=1)
    theta = vae.theta.copy()
    exact = problems.vae_gradient(vae, digits[:8], objective, n_samples=3)
    assert exact.error < 1e-4
    np.testing.assert_array_equal(vae.theta, theta)
    reports = variance.measure(vae, digits[:8], names, objective, 3000, 3, n_timings=0, blocks=tuple(exact.gradients))
    for report in reports.values():
        for block, gradient in exact.gradients.items():
            assert variance.bias(report, gradient, block).p > 0.001


def test_a_bias_inside_a_vae_is_seen(digits):
    def halved_scale(q, target, eps, objective=None, rng=None):
        draws = tv.estimators.reparameterization(q, target, eps, objective)
        return tv.Draws(draws.f, draws.dparams * np.repeat([1.0, 0.5], q.mu.shape[1]))

    vae = tv.VAE(64, 1, (6,), dtype="float64", seed=1)
    exact = problems.vae_gradient(vae, digits[:8]).gradients
    report = variance.measure(vae, digits[:8], [halved_scale], n_draws=20_000, n_timings=0, blocks=tuple(exact))[
        "halved_scale"
    ]
    assert variance.bias(report, exact["mu"], "mu").p > 0.001
    assert (
        variance.bias(report, exact["logvar"], "logvar").p < 1e-6
        and variance.bias(report, exact["encoder"], "encoder").p < 1e-6
    )


def test_what_has_no_exact_gradient_is_refused():
    with pytest.raises(ValueError, match="one to three latents, got 4"):
        problems.vae_gradient(tv.VAE(6, 4, (5,)), np.zeros((1, 6)))
    with pytest.raises(ValueError, match="problem must be one of 'quadratic', .*got 'cubic'"):
        problems.make("cubic")
    with pytest.raises(ValueError, match="is a plain expectation"):
        problems.make("exp", tv.ELBO())
    assert problems.make("linear_gaussian", tv.ImportanceWeighted(), 2, n_latents=4).gradient is None
    with pytest.raises(ValueError, match="s must be finite and greater than 0"):
        problems.LinearGaussian(np.ones((2, 1)), np.zeros(2), 0.0)


@pytest.mark.parametrize(
    "name, options, error, message",
    [
        ("quadratic", {"k": np.inf}, ValueError, "k must be finite, got inf"),
        ("quadratic", {"offset": "a"}, TypeError, "offset must be a number"),
        ("quadratic", {"sigma": 0}, ValueError, "sigma must be finite and greater than 0, got 0"),
        ("exp", {"k": -0.5}, ValueError, r"k must be greater than -1 / \(2 sigma\^2\) = -0.5, got -0.5"),
        ("exp", {"k": np.inf}, ValueError, "k must be finite"),
        ("cosine", {"k": np.nan}, ValueError, "k must be finite"),
        ("coupled", {"n_latents": 0}, ValueError, "n_latents must be at least 1, got 0"),
        ("coupled", {"mu": np.nan}, ValueError, "mu must be finite"),
        ("linear_gaussian", {"n_latents": 0}, ValueError, "n_latents must be at least 1, got 0"),
        ("linear_gaussian", {"n_features": 0}, ValueError, "n_features must be at least 1, got 0"),
        ("linear_gaussian", {"n_points": 2.5}, TypeError, "n_points must be an integer, got 2.5"),
        ("linear_gaussian", {"off": np.inf}, ValueError, "off must be finite, got inf"),
    ],
)
def test_options_out_of_range_are_refused(name, options, error, message):
    with pytest.raises(error, match=message):
        problems.make(name, **options)


@pytest.mark.parametrize(
    "x, error, message",
    [
        (np.zeros((2, 1)), ValueError, r"x must have shape \(.*, 3\), got \(2, 1\)"),  # it would be spread
        (np.zeros(3), ValueError, r"x must have shape \(.*, 3\), got \(3,\)"),
        (np.full((2, 3), np.nan), ValueError, "x must be finite, got nan"),
        (np.zeros((2, 3), complex), TypeError, "x must be real numbers, got complex128"),
        (np.ma.masked_array(np.zeros((2, 3)), True), TypeError, "x must be a plain array"),
    ],
)
def test_the_model_refuses_data_that_do_not_fit(model, x, error, message):
    q = tv.DiagonalGaussian(np.zeros((2, 2)), np.zeros((2, 2)))
    for call in (model.posterior, model.log_likelihood, model.best, model.target):
        with pytest.raises(error, match=message):
            call(x)
    for call in (model.elbo, model.gradient):
        with pytest.raises(error, match=message):
            call(q, x)
        with pytest.raises(ValueError, match=r"x must have shape \(2, 3\), got \(1, 3\)"):
            call(q, np.zeros((1, 3)))
    np.testing.assert_array_equal(model.log_likelihood([[0, 1, 0]]), model.log_likelihood(np.eye(3)[1:2]))


def test_one_data_point_is_one_that_there_is():
    p = check.default_problems()[0]  # two points
    for point in (-1, 2):
        with pytest.raises(ValueError, match="point must be"):
            problems.alone(p, point)
    without = problems.make("linear_gaussian", tv.ImportanceWeighted(), 2, n_latents=4)
    assert problems.alone(without, 3).gradient is None and len(problems.alone(without, 3).q.params) == 1
    with pytest.raises(ValueError, match="n_samples must be at least 1, got 0"):
        problems.bound_problems((0,))


def test_more_nodes_than_have_weights_are_refused():
    p = problems.make("quadratic")
    np.testing.assert_allclose(problems.exact_gradient(p.q, p.target, n_nodes=370), p.gradient, rtol=1e-10)
    with pytest.raises(ValueError, match="n_nodes must be at most 370, got 371"):
        problems.exact_gradient(p.q, p.target, n_nodes=371)
