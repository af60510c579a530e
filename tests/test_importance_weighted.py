"""The importance-weighted bound.

Its value, its gradient's estimators against the exact one, their signal-to-noise ratio.
"""

import numpy as np
import pytest
from scipy.stats import norm

import tinyvae as tv
from tinyvae import check
from tinyvae.estimators import dreg, reparameterization, vimco
from tinyvae.objectives import Integrand

BOUND = tv.ImportanceWeighted()
ESTIMATORS = {"reparameterization": reparameterization, "dreg": dreg, "vimco": vimco}


def gaussian(mu, variance):
    return tv.DiagonalGaussian(np.full((1, 1), float(mu)), np.full((1, 1), np.log(variance)))


def observed(x=1.0, scale=1.0, offset=0.0):
    """-log p(x | z), x | z ~ N(z, 1), with z ~ N(0, 1) the posterior is N(x / 2, 1 / 2).

    Scaled and shifted on demand.
    """
    return tv.Target(
        lambda z: offset + scale * ((x - z) ** 2 + np.log(2 * np.pi)).sum(axis=2) / 2, lambda z: scale * (z - x)
    )


def product_grid(n_samples, n_nodes):
    """eps (S, N, 1) and weights (N,): independent nodes for each of S samples of one latent."""
    nodes, weights = check.gauss_hermite(n_nodes, n_samples)
    return nodes.T[..., None].copy(), weights


# --- the bound --------------------------------------------------------------------------------------------


def test_the_bounds_gaps_to_the_evidence():
    log_p = -np.log(4 * np.pi) / 2 - 1 / 4
    assert log_p == pytest.approx(-1.515512, abs=6e-7)
    for n_samples, gap in ((1, 0.272826), (2, 0.119168), (3, 0.074855)):
        eps, weights = product_grid(n_samples, 60)
        q = tv.DiagonalGaussian(np.ones((len(weights), 1)), np.full((len(weights), 1), np.log(2 / 3)))
        loss = BOUND.value(Integrand(q, observed(), BOUND)(q.sample(eps)))
        assert weights @ loss + log_p == pytest.approx(gap, abs=6e-7)


def test_value_and_weights_survive_any_size():
    losses = np.array([[1000.0, -1000.0], [1001.0, 0.0]])
    np.testing.assert_allclose(BOUND.value(losses), [1000 - np.log((1 + np.exp(-1)) / 2), -1000 + np.log(2)])
    np.testing.assert_allclose(BOUND.weights(losses).sum(axis=0), 1)
    np.testing.assert_allclose(BOUND.weights(losses)[:, 1], [1, 0])


# --- the gradient -----------------------------------------------------------------------------------------


def test_the_exact_gradient_is_that_of_the_product_quadrature():
    # Two unlike ways: one integral over one sample for any S, and central differences of the bound on an S-fold grid.
    q, target = gaussian(1.0, 2 / 3), observed()
    for n_samples in (1, 2, 3):
        eps, weights = product_grid(n_samples, 60)

        def bound(params):
            tiled = tv.DiagonalGaussian.from_params(np.tile(params, (len(weights), 1)))
            return weights @ BOUND.value(Integrand(tiled, target, BOUND)(tiled.sample(eps)))

        numeric = [(bound(q.params + step) - bound(q.params - step)) / 2e-5 for step in 1e-5 * np.eye(2)[:, None]]
        exact = check.exact_gradient(q, target, BOUND, n_nodes=128, n_samples=n_samples)
        np.testing.assert_allclose(exact[0], numeric, rtol=0, atol=2e-9)


@pytest.mark.parametrize("name, n_samples, n_nodes", [
    ("reparameterization", 1, 100), ("reparameterization", 2, 100), ("reparameterization", 3, 50),
    ("dreg", 1, 100), ("dreg", 2, 100), ("dreg", 3, 50), ("vimco", 2, 100), ("vimco", 3, 50),
])  # fmt: skip
@pytest.mark.parametrize(
    "q, target",
    [(gaussian(1.0, 2 / 3), observed()), (gaussian(0.3, 0.9), observed(-0.5, offset=1000.0))],
    ids=["landing", "offset"],
)
def test_estimators_are_unbiased_by_product_quadrature(name, n_samples, n_nodes, q, target):
    mean, _ = check.exact_mean(name, q, target, BOUND, n_samples, n_nodes)
    exact = check.exact_gradient(q, target, BOUND, n_nodes=128, n_samples=n_samples)
    np.testing.assert_allclose(mean, exact, rtol=0, atol=2e-6)


def test_with_one_sample_the_bound_is_the_elbo_and_dreg_the_path_derivative():
    q, sampled = gaussian(0.2, 0.81), tv.ELBO(kl="monte_carlo")
    eps = q.noise(np.random.default_rng(0), 1)
    np.testing.assert_allclose(
        dreg(q, observed(), eps, BOUND).dparams, tv.estimators.path_derivative(q, observed(), eps, sampled).dparams
    )
    np.testing.assert_allclose(
        reparameterization(q, observed(), eps, BOUND).dparams, reparameterization(q, observed(), eps, sampled).dparams
    )
    _, variance = check.exact_mean("dreg", q, observed(), BOUND)
    np.testing.assert_allclose(variance[0], [0.474568, 1.309136 * 0.9**2 / 4], atol=6e-7)


def test_dreg_has_no_variance_at_the_posterior():
    mean, variance = check.exact_mean("dreg", gaussian(0.5, 0.5), observed(), BOUND, n_samples=2, n_nodes=30)
    np.testing.assert_allclose(mean, 0, atol=1e-13)
    np.testing.assert_allclose(variance, 0, atol=1e-24)


def test_the_path_derivative_of_the_bound_would_be_biased_and_is_refused():
    def landing_on_the_bound(q, target, eps, objective=None, rng=None):
        loss = Integrand(q, target, objective)
        z = q.sample(eps)
        return tv.Draws(loss(z), loss.weigh(loss(z), q.path(loss.grad(z), eps)))

    q = gaussian(1.0, 2 / 3)
    mean, _ = check.exact_mean(landing_on_the_bound, q, observed(), BOUND, 2, 60)
    assert np.abs(mean - check.exact_gradient(q, observed(), BOUND, 100, 2)).min() > 0.02
    with pytest.raises(ValueError, match="biased on the importance-weighted bound .* use 'dreg'"):
        tv.estimators.path_derivative(q, observed(), np.zeros((2, 1, 1)), BOUND)


def test_dreg_names_weights_that_are_no_numbers():
    class Broken(tv.ImportanceWeighted):
        def weights(self, losses):
            return losses * np.nan

    q, eps = gaussian(0, 1), np.zeros((2, 1, 1))
    target = tv.Target(lambda z: z.sum(axis=2), np.ones_like)
    with pytest.raises(ValueError, match="the objective's weights must be finite, got nan"):
        dreg(q, target, eps, Broken())


@pytest.mark.parametrize("name", ["dreg", "vimco"])
def test_they_refuse_an_average(name):
    for objective in (None, tv.ELBO()):
        with pytest.raises(
            ValueError,
            match=f"{name} estimates the gradient of the importance-weighted bound: "
            "pass objective=tv.ImportanceWeighted",
        ):
            tv.estimators.make(name)(gaussian(0, 1), observed(), np.zeros((2, 1, 1)), objective)
    if name == "vimco":
        with pytest.raises(ValueError, match="vimco needs n_samples of at least 2, got 1"):
            vimco(gaussian(0, 1), observed(), np.zeros((1, 1, 1)), BOUND)


# --- signal-to-noise --------------------------------------------------------------------------------------


def test_the_signal_to_noise_ratios_and_their_slopes():
    """K = 16 and 256 of REFERENCE.

    IWAE phi .128 and .0316, DReG 5.21 and 20.7, theta 2.51 and 9.70; slopes -1/2, 1/2, 1/2.

    phi's signal is exact; theta's, and every noise, comes from replicates, in batches whose spread gives a standard
    error. Nine numbers at a level of 0.001 together; half a unit of the last printed digit is allowed beside it.
    """
    known = {16: (0.128, 5.21, 2.51), 256: (0.0316, 20.7, 9.70)}
    reach = norm.ppf(1 - 0.001 / 18)
    logs, errors = {}, {}
    for n_samples, values in known.items():
        q = gaussian(1.0, 2 / 3)
        signal = abs(check.exact_gradient(q, observed(), BOUND, 128, n_samples)[0, 0])
        tiled = tv.DiagonalGaussian.from_params(np.tile(q.params, (4000, 1)))
        eps = tiled.noise(np.random.default_rng(n_samples), n_samples)
        z = tiled.sample(eps)
        weights = BOUND.weights(Integrand(tiled, observed(), BOUND)(z))
        draws = {
            "iwae": reparameterization(tiled, observed(), eps, BOUND).dmu.mean(axis=0)[:, 0],
            "dreg": dreg(tiled, observed(), eps, BOUND).dmu.mean(axis=0)[:, 0],
            "theta": -(weights * z[..., 0]).sum(axis=0),  # d/d(prior mean) of -log mean w
        }
        for (name, draw), value, digits in zip(draws.items(), values, (3, 2, 2) if n_samples == 16 else (4, 1, 2)):
            batches = draw.reshape(20, -1)
            mean = signal if name != "theta" else np.abs(batches.mean(axis=1))
            ratios = mean / batches.std(axis=1, ddof=1)
            estimate = (signal if name != "theta" else abs(draw.mean())) / draw.std(ddof=1)
            error = ratios.std(ddof=1) / np.sqrt(20)
            assert abs(estimate - value) < reach * error + 0.5 * 10.0**-digits, (name, n_samples, estimate, error)
            logs[name, n_samples], errors[name, n_samples] = np.log(estimate), error / estimate
    for name, slope in (("iwae", -0.5), ("dreg", 0.5), ("theta", 0.5)):
        found = (logs[name, 256] - logs[name, 16]) / np.log(16)
        spread = np.hypot(errors[name, 16], errors[name, 256]) / np.log(16)
        assert abs(found - slope) < reach * spread + 0.015  # the exact slopes between 16 and 256: -.504, .498, .488


@pytest.mark.parametrize("c, mu", [(1.0, 5.0), (5.0, 3.0), (10.0, 3.0), (50.0, 3.0)])
def test_the_exact_bound_gradient_with_one_sample_is_the_sampled_elbo_s_however_steep_f_is(c, mu):
    q = tv.DiagonalGaussian(np.array([[mu]]), np.array([[0.0]]))
    target = tv.Target(lambda z: c * (z**2).sum(axis=2), lambda z: 2 * c * z)
    bound = tv.check.exact_gradient(q, target, tv.ImportanceWeighted(), n_nodes=64, n_samples=1)
    elbo = tv.check.exact_gradient(q, target, tv.ELBO(kl="monte_carlo"), n_nodes=64)
    np.testing.assert_allclose(bound, elbo, rtol=1e-9, atol=1e-9)
