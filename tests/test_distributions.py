import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

import tinyvae as tv

MU = np.array([[0.3, -1.2], [0.0, 2.0], [-0.7, 0.5]])
LOGVAR = np.array([[-1.0, 0.4], [1.5, -3.0], [0.0, 0.9]])


@pytest.fixture
def q():
    return tv.DiagonalGaussian(MU.copy(), LOGVAR.copy())


@pytest.fixture
def z():
    return 2 * np.random.default_rng(0).standard_normal((4, *MU.shape))


def gaussian_of(params):
    n = params.shape[1] // 2
    return tv.DiagonalGaussian(params[:, :n], params[:, n:])


# --- the diagonal Gaussian ------------------------------------------------------------------------


def test_params_are_mu_then_logvar_and_their_views(q):
    np.testing.assert_array_equal(q.params, np.concatenate([MU, LOGVAR], axis=1))
    np.testing.assert_array_equal(q.mu, MU)
    np.testing.assert_array_equal(q.logvar, LOGVAR)
    assert np.shares_memory(q.mu, q.params) and np.shares_memory(q.logvar, q.params)
    np.testing.assert_allclose(q.std**2, np.exp(LOGVAR), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noise_has_its_shape_dtype_and_generator(dtype):
    q = tv.DiagonalGaussian(MU.astype(dtype), LOGVAR.astype(dtype))
    eps = q.noise(np.random.default_rng(3), 5)
    assert eps.shape == (5, 3, 2) and eps.dtype == dtype
    np.testing.assert_array_equal(eps, q.noise(np.random.default_rng(3), 5))


def test_samples_have_mean_mu_and_variance_exp_logvar(q):
    # Standard errors: std / sqrt(n) and variance * sqrt(2 / n). Twelve numbers at 4.5 of them: a right
    # sampler fails once in 12,000. Reading logvar as a log-std makes the variance exp(2 logvar), off by a
    # third or more wherever logvar is not 0: over 100 standard errors.
    n = 200_000
    z = q.sample(q.noise(np.random.default_rng(1), n))
    variance = np.exp(LOGVAR)
    assert (np.abs(z.mean(axis=0) - MU) < 4.5 * np.sqrt(variance / n)).all()
    assert (np.abs(z.var(axis=0) / variance - 1) < 4.5 * np.sqrt(2 / n)).all()


def test_samples_have_exact_moments_under_gauss_hermite_nodes(q, nodes):
    points, weights = nodes(4)
    z = q.sample(np.tile(points[:, None, None], (1, *MU.shape)))
    mean = np.einsum("s,sbk->bk", weights, z)
    np.testing.assert_allclose(mean, MU, rtol=0, atol=1e-14)
    np.testing.assert_allclose(np.einsum("s,sbk->bk", weights, (z - mean) ** 2), np.exp(LOGVAR), rtol=1e-13)


def test_log_prob_is_scipys(q, z):
    expected = scipy.stats.norm.logpdf(z, MU, np.exp(LOGVAR / 2)).sum(axis=2)
    np.testing.assert_allclose(q.log_prob(z), expected, rtol=1e-13)


def test_log_ratio_is_log_prob_less_the_priors(q, z):
    expected = q.log_prob(z) - scipy.stats.norm.logpdf(z).sum(axis=2)
    np.testing.assert_allclose(q.log_ratio(z), expected, rtol=1e-12, atol=1e-13)


def test_score_is_the_slope_of_log_prob_in_the_parameters(q, z, numeric_gradient):
    score = q.score(z)
    params = q.params.copy()
    for s in range(len(z)):
        slope = numeric_gradient(lambda: gaussian_of(params).log_prob(z)[s].sum(), params)
        np.testing.assert_allclose(score[s], slope, rtol=0, atol=1e-8 * np.linalg.norm(slope))


def test_log_ratio_grad_is_the_slope_of_log_ratio_in_z(q, z, numeric_gradient):
    slope = numeric_gradient(lambda: q.log_ratio(z).sum(), z)
    np.testing.assert_allclose(q.log_ratio_grad(z), slope, rtol=0, atol=1e-9 * np.linalg.norm(slope))


def test_path_is_the_chain_rule_through_sample(q, z, numeric_gradient):
    dz, eps = np.random.default_rng(1).standard_normal((2, *z.shape))
    path = q.path(dz, eps)
    params = q.params.copy()
    for s in range(len(z)):
        slope = numeric_gradient(lambda: (dz[s] * gaussian_of(params).sample(eps)[s]).sum(), params)
        np.testing.assert_allclose(path[s], slope, rtol=0, atol=1e-9 * np.linalg.norm(slope))


def test_kl_is_the_integral(q):
    def integrand(z, mu, std):
        log_q, log_p = scipy.stats.norm.logpdf(z, mu, std), scipy.stats.norm.logpdf(z)
        return np.exp(log_q) * (log_q - log_p)

    for kl, mu, std in zip(q.kl(), MU, np.exp(LOGVAR / 2)):
        parts = [
            scipy.integrate.quad(integrand, m - 12 * s, m + 12 * s, args=(m, s), epsabs=1e-13)[0]
            for m, s in zip(mu, std)
        ]
        assert kl == pytest.approx(sum(parts), rel=1e-10)


def test_kl_of_the_prior_with_itself_is_zero():
    assert tv.DiagonalGaussian(np.zeros((2, 3)), np.zeros((2, 3))).kl().tolist() == [0, 0]


def test_kl_grad_is_the_slope_of_kl(q, numeric_gradient):
    params = q.params.copy()
    slope = numeric_gradient(lambda: gaussian_of(params).kl().sum(), params)
    np.testing.assert_allclose(q.kl_grad(), slope, rtol=0, atol=1e-9 * np.linalg.norm(slope))


@pytest.mark.parametrize("method", ["sample", "log_prob", "log_ratio", "log_ratio_grad", "score"])
def test_methods_keep_float32_and_leave_their_argument(method, z):
    q = tv.DiagonalGaussian(MU.astype("float32"), LOGVAR.astype("float32"))
    z = z.astype("float32")
    before = z.copy()
    assert getattr(q, method)(z).dtype == np.float32
    np.testing.assert_array_equal(z, before)


def test_closed_forms_keep_float32():
    q = tv.DiagonalGaussian(MU.astype("float32"), LOGVAR.astype("float32"))
    assert q.kl().dtype == q.kl_grad().dtype == q.params.dtype == q.std.dtype == np.float32


# --- the Bernoulli likelihood ---------------------------------------------------------------------

LOGITS = np.array(
    [-1e30, -1e5, -800.0, -745.0, -40.0, -1.0, -1e-8, -1e-30, 0.0, 1e-30, 1e-8, 0.5, 36.0, 700.0, 1e5, 1e30]
)


def column(x):
    """One data point a row, of one feature."""
    return np.array(x, dtype=np.float64)[:, None]


@pytest.mark.parametrize("bit", [0, 1])
def test_log_prob_of_a_bit_is_exact_for_logits_of_any_size(bit):
    # -log p(1) = log(1 + e^-l), -log p(0) = log(1 + e^l)
    expected = -np.logaddexp(0, -LOGITS if bit else LOGITS)
    found = tv.Bernoulli(column(LOGITS)).log_prob(np.full((len(LOGITS), 1), bit, np.uint8))
    np.testing.assert_allclose(found, expected, rtol=4e-16, atol=0)


@pytest.mark.parametrize("x", [0.25, 0.5, 0.9])
def test_log_prob_of_a_grey_level_is_the_cross_entropy(x):
    expected = -(x * np.logaddexp(0, -LOGITS) + (1 - x) * np.logaddexp(0, LOGITS))
    found = tv.Bernoulli(column(LOGITS)).log_prob(np.full((len(LOGITS), 1), x))
    np.testing.assert_allclose(found, expected, rtol=1e-15, atol=0)


def test_log_prob_agrees_with_x_log_m_where_that_works():
    rng = np.random.default_rng(0)
    logits, x = 3 * rng.standard_normal((6, 4)), rng.random((6, 4))
    m = scipy.special.expit(logits)
    expected = (scipy.special.xlogy(x, m) + scipy.special.xlog1py(1 - x, -m)).sum(axis=1)
    np.testing.assert_allclose(tv.Bernoulli(logits).log_prob(x), expected, rtol=1e-13)


@pytest.mark.parametrize("x, exact", [(0.0, scipy.special.expit(LOGITS)), (1.0, -scipy.special.expit(-LOGITS))])
def test_slope_for_a_bit_is_exact_for_logits_of_any_size(x, exact):
    slope, loss = column(LOGITS), np.empty(len(LOGITS))
    tv.Bernoulli.loss_and_slope(slope, np.full((len(LOGITS), 1), x), loss)
    np.testing.assert_allclose(slope[:, 0], exact, rtol=1e-15, atol=5e-324)


def test_slope_is_the_derivative_of_the_loss(numeric_gradient):
    rng = np.random.default_rng(0)
    logits, x = 3 * rng.standard_normal((6, 4)), rng.random((3, 4))  # each x serves two samples
    slope, loss = logits.copy(), np.empty(6)

    def total():
        tv.Bernoulli.loss(logits, x, loss)
        return loss.sum()

    tv.Bernoulli.loss_and_slope(slope, x, loss)
    np.testing.assert_allclose(slope, scipy.special.expit(logits) - np.tile(x, (2, 1)), rtol=0, atol=1e-15)
    np.testing.assert_allclose(slope, numeric_gradient(total, logits), rtol=0, atol=1e-8)


def test_loss_and_slope_gives_the_loss_of_loss():
    rng = np.random.default_rng(0)
    logits, x = 3 * rng.standard_normal((6, 4)), rng.random((3, 4))
    alone, together = np.empty(6), np.empty(6)
    tv.Bernoulli.loss(logits, x, alone)
    tv.Bernoulli.loss_and_slope(logits.copy(), x, together)
    np.testing.assert_allclose(together, alone, rtol=1e-15)
    np.testing.assert_allclose(alone, -tv.Bernoulli(logits).log_prob(np.tile(x, (2, 1))), rtol=1e-15)


def test_mean_is_the_sigmoid_for_logits_of_any_size():
    np.testing.assert_allclose(
        tv.Bernoulli(column(LOGITS)).mean[:, 0], scipy.special.expit(LOGITS), rtol=1e-15, atol=5e-324
    )


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float32"])
def test_bits_of_any_type_are_the_same_bits(dtype):
    bits = np.array([[0, 1, 1], [1, 0, 1]])
    logits = np.random.default_rng(0).standard_normal((2, 3))
    p = tv.Bernoulli(logits)
    np.testing.assert_array_equal(p.log_prob(bits.astype(dtype)), p.log_prob(bits.astype("float64")))


def test_probabilities_of_all_images_add_up_to_one():
    logits = np.random.default_rng(0).standard_normal((1, 3))
    images = np.array(list(np.ndindex(2, 2, 2)), np.uint8)
    assert np.exp(tv.Bernoulli(np.tile(logits, (8, 1))).log_prob(images)).sum() == pytest.approx(1, abs=1e-14)
