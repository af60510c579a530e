"""Published and closed-form variances of single-sample gradients, by quadrature.

No sampling error, six digits and more.
"""

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import check
from tinyvae.estimators import ConstantBaseline, MeasureValued, path_derivative, reparameterization, score_function


def gaussian(mu, std, rows=1):
    return tv.DiagonalGaussian(np.full((rows, 1), float(mu)), np.full((rows, 1), 2 * np.log(std)))


def moments(estimator, mu, std, f, slope=None, objective=None, n=100):
    """Exact mean and variance of one sample's gradient, each [d/dmu, d/dsigma]."""
    target = tv.Target(lambda z: f(z)[..., 0], slope)
    mean, variance = check.exact_mean(estimator, gaussian(mu, std), target, objective, n_nodes=n)
    return mean[0] * [1, 2 / std], variance[0] * [1, (2 / std) ** 2]


class Nodes(np.random.Generator):
    """A generator whose numbers are given: quadrature nodes in the order in which `MeasureValued` asks for them."""

    def __new__(cls, normals, uniforms):
        return super().__new__(cls, np.random.PCG64(0))

    def __init__(self, normals, uniforms):
        super().__init__(np.random.PCG64(0))
        self.normals, self.uniforms = list(normals), list(uniforms)

    def standard_normal(self, size=None, dtype=float, out=None):
        return self.normals.pop(0).reshape(size)

    def random(self, size=None, dtype=float, out=None):
        return self.uniforms.pop(0).reshape(size)


def legendre(n, low, high):
    x, w = np.polynomial.legendre.leggauss(n)
    return (low + high) / 2 + (high - low) / 2 * x, (high - low) / 2 * w


def measure_valued_moments(coupled, mu, std, f, n=100):
    """The same for the measure-valued estimator, over its own variables: (W, W') for mu, (M, U) or (M, N) for sigma."""

    def density(x):
        return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)

    w, w_weights = legendre(n, 0, 12)
    m, m_weights = legendre(n, -12, 12)
    u, u_weights = legendre(n, 0, 1) if coupled else legendre(n, -12, 12)
    rayleigh = w_weights * w * np.exp(-w * w / 2)
    maxwell = m_weights * m * m * density(m)
    second = u_weights if coupled else u_weights * density(u)
    first_w, other_w = (a.ravel() for a in np.meshgrid(w, w, indexing="ij"))
    first_m, other_u = (a.ravel() for a in np.meshgrid(m, u, indexing="ij"))
    zero = np.zeros_like(first_w)
    normals = np.stack([first_w, zero, np.abs(first_m), zero, zero, zero if coupled else other_u])
    uniforms = [np.where(first_m < 0, 0.0, 0.9)] + [other_u] * coupled
    rng = Nodes([normals] + [np.stack([other_w, zero])] * (not coupled), uniforms)
    target = tv.Target(lambda z: f(z)[..., 0])
    draws = MeasureValued(coupled)(gaussian(mu, std, len(zero)), target, np.zeros((1, len(zero), 1)), rng=rng).dparams[
        0
    ]
    assert not rng.normals and not rng.uniforms
    mean, variance = [], []
    for column, grid in (
        (draws[:, 0], np.outer(rayleigh, rayleigh)),
        (draws[:, 1] * 2 / std, np.outer(maxwell, second)),
    ):
        mean.append(grid.ravel() @ column)
        variance.append(grid.ravel() @ (column - mean[-1]) ** 2)
    return np.array(mean), np.array(variance)


# --- the quadratic ----------------------------------------------------------------------------------------

PLACES = [(1.0, 1.0, -3.0), (0.2, 0.5, 1.0), (-1.0, 2.0, -1.0), (0.3, 0.7, 5.0)]


@pytest.mark.parametrize("mu, s, k", PLACES)
def test_the_quadratics_table(mu, s, k):
    a = mu - k
    f, slope = lambda z: (z - k) ** 2, lambda z: 2 * (z - k)
    best = [a**2 + 3 * s**2, a**2 + 5 * s**2]  # E[f h^2] / E[h^2], h the score in mu and in sigma
    table = {
        "score function": (
            moments(score_function, mu, s, f)[1],
            [a**4 / s**2 + 14 * a**2 + 15 * s**2, 2 * a**4 / s**2 + 60 * a**2 + 74 * s**2],
        ),
        "baseline E[f]": (
            moments(ConstantBaseline(a**2 + s**2), mu, s, f)[1],
            [8 * a**2 + 10 * s**2, 40 * a**2 + 56 * s**2],
        ),
        "optimal constant": (
            [moments(ConstantBaseline(b), mu, s, f)[1][i] for i, b in enumerate(best)],
            [8 * a**2 + 6 * s**2, 40 * a**2 + 24 * s**2],
        ),
        "pathwise": (moments(reparameterization, mu, s, f, slope)[1], [4 * s**2, 4 * a**2 + 8 * s**2]),
        "measure-valued": (measure_valued_moments(True, mu, s, f)[1], [(16 / np.pi - 4) * a**2, 4 * a**2 + 4 * s**2]),
    }  # fmt: skip
    for name, (variance, known) in table.items():
        np.testing.assert_allclose(variance, known, rtol=1e-9, atol=1e-9, err_msg=name)


def test_the_quadratics_spot_values():
    f, slope = lambda z: (z + 3) ** 2, lambda z: 2 * (z + 3)
    spot = [
        (moments(score_function, 1, 1, f), [495, 1546]),
        (moments(ConstantBaseline(17.0), 1, 1, f), [138, 696]),
        (moments(reparameterization, 1, 1, f, slope), [4, 72]),
        (measure_valued_moments(True, 1, 1, f), [17.487331, 68]),
    ]
    for (mean, variance), known in spot:
        np.testing.assert_allclose(mean, [8, 2], rtol=1e-10)
        np.testing.assert_allclose(variance, known, rtol=0, atol=6e-7)
    assert moments(ConstantBaseline(19.0), 1, 1, f)[1][0] == pytest.approx(134, rel=1e-11)
    assert moments(ConstantBaseline(21.0), 1, 1, f)[1][1] == pytest.approx(664, rel=1e-11)


def test_coupling_can_lose():
    mean, variance = measure_valued_moments(False, 1, 1, lambda z: (z + 3) ** 2)
    np.testing.assert_allclose(mean, [8, 2], rtol=1e-10)
    assert variance[0] == pytest.approx(10.016905, abs=6e-7)


@pytest.mark.parametrize("coupled, known", [(True, [17.487331, 68]), (False, [10.016905, None])])
def test_measure_valued_variances_by_sampling_too(coupled, known):
    # Four numbers at a level of 0.001 together: 3.5 standard errors each. This draws what the nodes above stand for.
    n = 200_000
    draws = MeasureValued(coupled)(
        gaussian(1, 1, n),
        tv.Target(lambda z: ((z + 3) ** 2)[..., 0]),
        np.zeros((1, n, 1)),
        rng=np.random.default_rng(0),
    )
    for column, gradient, variance in zip((draws.dparams[0] * [1, 2]).T, (8, 2), known):
        assert abs(column.mean() - gradient) < 3.5 * column.std() / np.sqrt(n)
        squares = (column - column.mean()) ** 2
        if variance is not None:
            assert abs(squares.mean() - variance) < 3.5 * squares.std() / np.sqrt(n)


@pytest.mark.parametrize("c, mu, s", [(1.0, 1.0, 1.0), (3.0, -0.4, 0.6)])
def test_rezendes_forms(c, mu, s):
    # f = c z^2 / 2 (Rezende et al. 2014, appendix D). His f' eps form is the pathwise derivative with respect to sigma.
    f, slope = lambda z: c * z**2 / 2, lambda z: c * z
    np.testing.assert_allclose(
        moments(reparameterization, mu, s, f, slope)[1], [c**2 * s**2, 2 * c**2 * s**2 + c**2 * mu**2], rtol=1e-11
    )
    by_score = moments(ConstantBaseline(c * (mu**2 + s**2) / 2), mu, s, f)[1][0]
    assert by_score == pytest.approx(2 * c**2 * mu**2 + 2.5 * c**2 * s**2, rel=1e-11)


# --- exponential and cosine, at mu = sigma = 1 (Mohamed et al. 2020, section 3) ---------------------------

# f, k: gradient, then the variances of score function, SF with optimal baseline, pathwise, measure-valued; [d/dmu,
# d/dsigma]
MOHAMED = [
    (
        "exp",
        0.1,
        [-0.139980, -0.116650],
        [0.563532, 0.935384],
        [0.040468, 0.140991],
        [0.016290, 0.027770],
        [0.002509, 0.021971],
    ),
    (
        "exp",
        1.0,
        [-0.275793, -0.091931],
        [0.175750, 0.176690],
        [0.072222, 0.112784],
        [0.211723, 0.175731],
        [0.012568, 0.070665],
    ),
    (
        "cos",
        0.5,
        [-0.211546, -0.193616],
        [0.455248, 0.798658],
        [0.117864, 0.460102],
        [0.039285, 0.087513],
        [0.008275, 0.065266],
    ),
]


@pytest.mark.parametrize("family, k, gradient, by_score, with_optimum, by_path, by_measure", MOHAMED)
def test_exponential_and_cosine_to_six_digits(family, k, gradient, by_score, with_optimum, by_path, by_measure):
    f, slope = {
        "exp": (lambda z: np.exp(-k * z**2), lambda z: -2 * k * z * np.exp(-k * z**2)),
        "cos": (lambda z: np.cos(k * z), lambda z: -k * np.sin(k * z)),
    }[family]
    eps, weights = check.gauss_hermite(100, 1)
    h = np.stack([eps[:, 0], eps[:, 0] ** 2 - 1])  # the score in mu and in sigma
    optimum = (h * h * f(1 + eps[:, 0])) @ weights / ((h * h) @ weights)
    near = dict(rtol=0, atol=6e-7)
    for (mean, variance), known in (
        (moments(score_function, 1, 1, f), by_score),
        (moments(reparameterization, 1, 1, f, slope), by_path),
        (measure_valued_moments(True, 1, 1, f), by_measure),
    ):
        np.testing.assert_allclose(mean, gradient, **near)
        np.testing.assert_allclose(variance, known, **near)
    best = [moments(ConstantBaseline(b), 1, 1, f)[1][i] for i, b in enumerate(optimum)]
    np.testing.assert_allclose(best, with_optimum, **near)


# --- landing: z ~ N(0, 1), x | z ~ N(z, 1), x = 1 ---------------------------------------------------------


@pytest.mark.parametrize("mu, s", [(0.5, np.sqrt(0.5)), (0.2, 0.9), (1.0, 0.5), (-1.0, 1.5)])
def test_total_analytic_and_path_derivative(mu, s):
    a = mu - 0.5
    f, slope = lambda z: (1 - z) ** 2 / 2 + np.log(2 * np.pi) / 2, lambda z: z - 1
    sampled, analytic = tv.ELBO(kl="monte_carlo"), tv.ELBO()
    known = {
        (reparameterization, sampled): [4 * s**2, 4 * a**2 + 8 * s**2],
        (reparameterization, analytic): [s**2, (1 - mu) ** 2 + 2 * s**2],
        (path_derivative, sampled): [s**2 * (1 / s**2 - 2) ** 2, 4 * a**2 + 2 * s**2 * (1 / s**2 - 2) ** 2],
        (path_derivative, analytic): [s**2, (1 - mu) ** 2 + 2 * s**2],
    }
    for (estimator, objective), variance in known.items():
        np.testing.assert_allclose(
            moments(estimator, mu, s, f, slope, objective, n=12)[1], variance, rtol=1e-11, atol=1e-12
        )


def test_the_landings_spot_values():
    f, slope, sampled = lambda z: (1 - z) ** 2 / 2, lambda z: z - 1, tv.ELBO(kl="monte_carlo")
    np.testing.assert_allclose(
        moments(path_derivative, 0.5, np.sqrt(0.5), f, slope, sampled, 12)[1], [0, 0], atol=1e-13
    )
    np.testing.assert_allclose(
        moments(path_derivative, 0.2, 0.9, f, slope, sampled, 12)[1], [0.474568, 1.309136], atol=6e-7
    )
    np.testing.assert_allclose(moments(reparameterization, 0.2, 0.9, f, slope, sampled, 12)[1], [3.24, 6.84], atol=6e-7)
    # Far from the posterior the path derivative is as bad as the total one, and worse than the analytic KL.
    np.testing.assert_allclose(moments(path_derivative, 1.0, 0.5, f, slope, sampled, 12)[1], [1, 3], atol=6e-7)
    np.testing.assert_allclose(moments(reparameterization, 1.0, 0.5, f, slope, sampled, 12)[1], [1, 3], atol=6e-7)
    np.testing.assert_allclose(
        moments(reparameterization, 1.0, 0.5, f, slope, tv.ELBO(), 12)[1], [0.25, 0.5], atol=6e-7
    )
