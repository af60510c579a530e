import numpy as np
import pytest

import tinyvae as tv
from tinyvae.estimators import leave_one_out, reparameterization, score_function

ONE_SAMPLE = [reparameterization, score_function]
CORE = ["reparameterization", "score_function", "leave_one_out"]


def gaussian(mu, std, rows=1):
    """N(mu, std^2), one latent, the same in every row."""
    return tv.DiagonalGaussian(np.full((rows, 1), float(mu)), np.full((rows, 1), 2 * np.log(std)))


def target(f, slope):
    """A target of one latent from functions of numbers."""
    return tv.Target(lambda z: f(z)[..., 0], slope)


def exact_moments(estimator, mu, std, f, slope, nodes, n, objective=None):
    """Exact mean and variance of an estimate, each [d/dmu, d/dstd], n Gauss-Hermite nodes a sample.

    leave_one_out takes two samples: their nodes form a grid of independent pairs on the batch axis.
    Nodes along its own sample axis would not be independent samples.
    """
    points, weights = nodes(n)
    if estimator is leave_one_out:
        eps = np.stack(np.meshgrid(points, points, indexing="ij")).reshape(2, -1, 1)
        weights = np.outer(weights, weights).ravel()
    else:
        eps = points.reshape(1, -1, 1)
    draws = estimator(gaussian(mu, std, eps.shape[1]), target(f, slope), eps, objective)
    estimates = draws.dparams.mean(axis=0) * [1, 2 / std]  # d/dlogvar = (std / 2) d/dstd
    mean = weights @ estimates
    return mean, weights @ (estimates - mean) ** 2


# --- exact means ----------------------------------------------------------------------------------

# f, f', and the derivatives of E[f] with respect to mu and sigma
POLYNOMIALS = {
    "constant": (lambda z: 7 + 0 * z, lambda z: 0 * z, lambda m, s: [0, 0]),
    "linear": (lambda z: 2 - 3 * z, lambda z: -3 + 0 * z, lambda m, s: [-3, 0]),
    "quadratic": (lambda z: (z + 3) ** 2, lambda z: 2 * (z + 3), lambda m, s: [2 * (m + 3), 2 * s]),
    "cubic": (lambda z: z**3 - z, lambda z: 3 * z**2 - 1, lambda m, s: [3 * m**2 + 3 * s**2 - 1, 6 * m * s]),
    "quartic": (lambda z: z**4, lambda z: 4 * z**3, lambda m, s: [4 * m**3 + 12 * m * s**2, 12 * m**2 * s + 12 * s**3]),
}


@pytest.mark.parametrize("mu, std", [(1.0, 1.0), (-0.5, 0.3), (0.7, 1.9)])
@pytest.mark.parametrize("polynomial", POLYNOMIALS)
@pytest.mark.parametrize("estimator", [reparameterization, score_function, leave_one_out])
def test_mean_is_the_exact_gradient_of_a_polynomial(estimator, polynomial, mu, std, nodes):
    f, slope, gradient = POLYNOMIALS[polynomial]
    mean, _ = exact_moments(estimator, mu, std, f, slope, nodes, n=12)
    size = 1 + max(map(abs, gradient(mu, std)))
    np.testing.assert_allclose(mean, gradient(mu, std), rtol=0, atol=1e-12 * size)


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("estimator", [reparameterization, score_function, leave_one_out])
def test_mean_with_a_sampled_kl_is_the_gradient_of_the_whole_loss(estimator, beta, nodes):
    mu, std = 0.7, 1.3
    f, slope, gradient = POLYNOMIALS["quadratic"]
    mean, _ = exact_moments(estimator, mu, std, f, slope, nodes, n=12, objective=tv.ELBO(beta, "monte_carlo"))
    kl_gradient = np.array([mu, std - 1 / std])
    np.testing.assert_allclose(mean, gradient(mu, std) + beta * kl_gradient, rtol=0, atol=1e-12 * 20)


@pytest.mark.parametrize("estimator", ONE_SAMPLE)
def test_mean_is_exact_where_latents_interact(estimator, nodes):
    # f = z1^2 z2: E = (mu1^2 + var1) mu2
    points, weights = nodes(6)
    eps = np.stack(np.meshgrid(points, points, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    q = tv.DiagonalGaussian(np.array([[0.7, -1.1]]), np.array([[0.4, -0.6]]))
    f = tv.Target(
        lambda z: z[..., 0] ** 2 * z[..., 1], lambda z: np.stack([2 * z[..., 0] * z[..., 1], z[..., 0] ** 2], axis=-1)
    )
    mean = np.outer(weights, weights).ravel() @ estimator(q, f, eps).dparams[:, 0]
    var1 = np.exp(0.4)
    exact = [2 * 0.7 * -1.1, 0.7**2 + var1, var1 * -1.1, 0]
    np.testing.assert_allclose(mean, exact, rtol=0, atol=1e-12)


# --- exact variances ------------------------------------------------------------------------------


def quadratic_variances(a, s):
    """Var d/dmu and d/dsigma for E[(z - k)^2], a = mu - k.

    Two samples of leave-one-out: 1/2 (E[h^2 u^2] + Var f Var u), h = f - E[f], u the score:
    1/2 (8a^2 + 10s^2 + (2a)^2 + (4 a^2 s^2 + 2 s^4) / s^2) for mu, likewise for sigma.
    """
    return {
        score_function: [a**4 / s**2 + 14 * a**2 + 15 * s**2, 2 * a**4 / s**2 + 60 * a**2 + 74 * s**2],
        reparameterization: [4 * s**2, 4 * a**2 + 8 * s**2],
        leave_one_out: [8 * a**2 + 6 * s**2, 24 * a**2 + 32 * s**2],
    }


@pytest.mark.parametrize("mu, std, k", [(1.0, 1.0, -3.0), (0.2, 0.5, 1.0), (-1.0, 2.0, -1.0)])
@pytest.mark.parametrize("estimator", [reparameterization, score_function, leave_one_out])
def test_variance_on_a_quadratic_is_the_closed_form(estimator, mu, std, k, nodes):
    _, variance = exact_moments(estimator, mu, std, lambda z: (z - k) ** 2, lambda z: 2 * (z - k), nodes, n=12)
    np.testing.assert_allclose(variance, quadratic_variances(mu - k, std)[estimator], rtol=1e-11)


@pytest.mark.parametrize(
    "estimator, spot", [(score_function, [495, 1546]), (reparameterization, [4, 72]), (leave_one_out, [134, 416])]
)
def test_variance_on_a_quadratic_at_the_spot(estimator, spot, nodes):
    _, variance = exact_moments(estimator, 1.0, 1.0, lambda z: (z + 3) ** 2, lambda z: 2 * (z + 3), nodes, n=12)
    np.testing.assert_allclose(variance, spot, rtol=1e-11)


@pytest.mark.parametrize("constant, spot", [(17.0, [138, 696]), (None, [134, 664])])
def test_variance_with_a_constant_baseline_at_the_spot(constant, spot, nodes):
    # A baseline is a constant taken from f: E[f] = 17; the best one is E[f u^2] / E[u^2], u the score.
    best = [19.0, 21.0]  # for mu: E[f (z - mu)^2] = a^2 + 3 s^2 = 19; for sigma: a^2 + 5 s^2 = 21
    for i, b in enumerate(best if constant is None else [constant] * 2):
        _, variance = exact_moments(score_function, 1.0, 1.0, lambda z: (z + 3) ** 2 - b, None, nodes, n=12)
        assert variance[i] == pytest.approx(spot[i], rel=1e-11)


@pytest.mark.parametrize("n_samples", [2, 3])
def test_leave_one_out_is_its_definition_on_every_combination_of_nodes(n_samples, nodes):
    # Estimate by estimate, hence in mean and variance too.
    points, weights = nodes(5)
    mu, std = 0.4, 0.8
    grid = np.stack(np.meshgrid(*[points] * n_samples, indexing="ij")).reshape(n_samples, -1)
    w = np.prod(np.stack(np.meshgrid(*[weights] * n_samples, indexing="ij")).reshape(n_samples, -1), axis=0)
    f = (mu + std * grid + 3) ** 2
    by_hand = np.zeros(grid.shape[1])
    for s in range(n_samples):
        others = [r for r in range(n_samples) if r != s]
        by_hand += (f[s] - f[others].mean(axis=0)) * grid[s] / std / n_samples
    draws = leave_one_out(gaussian(mu, std, grid.shape[1]), target(lambda z: (z + 3) ** 2, None), grid[..., None])
    estimates = draws.dmu[..., 0].mean(axis=0)
    np.testing.assert_allclose(estimates, by_hand, rtol=0, atol=1e-12)
    assert w @ by_hand == pytest.approx(2 * (mu + 3), abs=1e-12)


# At mu = sigma = 1; six digits: gradient, score function, pathwise, each [d/dmu, d/dsigma].
MOHAMED = [
    ("exp", 0.1, [-0.139980, -0.116650], [0.563532, 0.935384], [0.016290, 0.027770]),
    ("exp", 1.0, [-0.275793, -0.091931], [0.175750, 0.176690], [0.211723, 0.175731]),
    ("cos", 0.5, [-0.211546, -0.193616], [0.455248, 0.798658], [0.039285, 0.087513]),
]


@pytest.mark.parametrize("family, k, gradient, by_score, by_path", MOHAMED)
def test_exponential_and_cosine_have_the_known_gradient_and_variances(family, k, gradient, by_score, by_path, nodes):
    f, slope = {
        "exp": (lambda z: np.exp(-k * z**2), lambda z: -2 * k * z * np.exp(-k * z**2)),
        "cos": (lambda z: np.cos(k * z), lambda z: -k * np.sin(k * z)),
    }[family]
    for estimator, variances in ((score_function, by_score), (reparameterization, by_path)):
        mean, variance = exact_moments(estimator, 1.0, 1.0, f, slope, nodes, n=100)
        np.testing.assert_allclose(mean, gradient, rtol=0, atol=6e-7)
        np.testing.assert_allclose(variance, variances, rtol=0, atol=6e-7)


# z ~ N(0, 1), x | z ~ N(z, 1), x = 1; a = mu - 1/2: the posterior is N(1/2, 1/2).
@pytest.mark.parametrize("mu, s", [(0.5, np.sqrt(0.5)), (0.2, 0.9), (1.0, 0.5)])
@pytest.mark.parametrize("kl", ["monte_carlo", "analytic"])
def test_variance_of_the_elbos_gradient_on_a_prior_and_one_observation(kl, mu, s, nodes):
    x, a = 1.0, mu - 0.5
    known = {"monte_carlo": [4 * s**2, 4 * a**2 + 8 * s**2], "analytic": [s**2, (1 - mu) ** 2 + 2 * s**2]}
    _, variance = exact_moments(
        reparameterization,
        mu,
        s,
        lambda z: (x - z) ** 2 / 2 + np.log(2 * np.pi) / 2,
        lambda z: z - x,
        nodes,
        n=12,
        objective=tv.ELBO(kl=kl),
    )
    np.testing.assert_allclose(variance, known[kl], rtol=1e-11, atol=1e-14)


# --- what is returned and what is asked -----------------------------------------------------------


def quadratic():
    return tv.Target(lambda z: (z**2).sum(axis=-1), lambda z: 2 * z)


@pytest.fixture(params=["float32", "float64"])
def q(request):
    rng = np.random.default_rng(0)
    return tv.DiagonalGaussian(*rng.standard_normal((2, 3, 2)).astype(request.param))


@pytest.mark.parametrize("name", CORE)
def test_draws_have_the_promised_shapes_dtype_and_halves(name, q):
    eps = q.noise(np.random.default_rng(1), 4)
    draws = tv.estimators.make(name)(q, quadratic(), eps)
    assert isinstance(draws, tv.Draws)
    assert draws.f.shape == (4, 3) and draws.dparams.shape == (4, 3, 4)
    assert draws.f.dtype == draws.dparams.dtype == q.dtype
    np.testing.assert_array_equal(np.concatenate([draws.dmu, draws.dlogvar], axis=2), draws.dparams)


@pytest.mark.parametrize("name", CORE)
def test_f_is_each_samples_loss(name, q):
    eps = q.noise(np.random.default_rng(1), 4)
    z, estimator = q.sample(eps), tv.estimators.make(name)
    f = quadratic()(z)
    np.testing.assert_array_equal(estimator(q, quadratic(), eps).f, f)
    np.testing.assert_array_equal(estimator(q, quadratic(), eps, tv.ELBO(beta=3.0)).f, f)
    sampled = estimator(q, quadratic(), eps, tv.ELBO(beta=3.0, kl="monte_carlo")).f
    np.testing.assert_allclose(sampled, f + 3 * q.log_ratio(z), rtol=1e-5)


@pytest.mark.parametrize("name", CORE)
def test_estimators_leave_the_noise_and_the_distribution(name, q):
    eps = q.noise(np.random.default_rng(1), 4)
    before = eps.copy(), q.params.copy()
    tv.estimators.make(name)(q, quadratic(), eps, tv.ELBO(kl="monte_carlo"))
    np.testing.assert_array_equal(eps, before[0])
    np.testing.assert_array_equal(q.params, before[1])


@pytest.mark.parametrize(
    "name, evaluations, gradients", [("reparameterization", 4, 4), ("score_function", 4, 0), ("leave_one_out", 4, 0)]
)
def test_evaluations_are_counted(name, evaluations, gradients, q):
    f = quadratic()
    tv.estimators.make(name)(q, f, q.noise(np.random.default_rng(1), 4))
    assert (f.evaluations, f.gradients) == (evaluations, gradients)


@pytest.mark.parametrize("name", ["score_function", "leave_one_out"])
def test_score_functions_need_no_slope(name, q):
    draws = tv.estimators.make(name)(q, tv.Target(lambda z: z.sum(axis=-1)), q.noise(np.random.default_rng(1), 2))
    assert np.isfinite(draws.dparams).all()


def test_a_constant_added_to_f_leaves_leave_one_out_alone(nodes):
    _, plain = exact_moments(leave_one_out, 1.0, 1.0, lambda z: z**2, None, nodes, n=8)
    _, shifted = exact_moments(leave_one_out, 1.0, 1.0, lambda z: z**2 + 100, None, nodes, n=8)
    np.testing.assert_allclose(shifted, plain, rtol=1e-9)


def test_names_are_in_reading_order_and_each_can_be_made():
    assert tv.estimators.names()[:3] == CORE
    assert all(callable(tv.estimators.make(name)) for name in tv.estimators.names())
