"""A model in which everything is tractable: z ~ N(0, I), x | z ~ N(W z + m, s^2 I) (Tipping & Bishop 1999)."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats

import tinyvae as tv


@pytest.fixture(scope="module")
def model():
    """Three features, two latents, one observation, and its exact posterior and likelihood."""
    rng = np.random.default_rng(4)
    W, m, s = rng.standard_normal((3, 2)), rng.standard_normal(3), 0.7
    x = W @ rng.standard_normal(2) + m + s * rng.standard_normal(3)
    M = W.T @ W + s**2 * np.eye(2)
    log_px = scipy.stats.multivariate_normal(m, W @ W.T + s**2 * np.eye(3)).logpdf(x)
    mean = np.linalg.solve(M, W.T @ (x - m))
    return SimpleNamespace(W=W, m=m, s=s, x=x, M=M, mean=mean, precision=M / s**2, log_px=log_px)


def reconstruction(model):
    """f(z) = -log p(x | z) as a Target with its slope."""

    def value(z):
        return -scipy.stats.norm.logpdf(model.x, z @ model.W.T + model.m, model.s).sum(axis=-1)

    def grad(z):
        return (z @ model.W.T + model.m - model.x) @ model.W / model.s**2

    return tv.Target(value, grad)


def kl_to_posterior(model, q):
    """KL(q || p(z | x)) of a diagonal and a full Gaussian, nats."""
    variance, off = np.exp(q.logvar[0]), q.mu[0] - model.mean
    return 0.5 * (
        variance @ np.diag(model.precision)
        + off @ model.precision @ off
        - 2
        - q.logvar[0].sum()
        - np.linalg.slogdet(model.precision)[1]
    )


def expectation(model, q, estimator, objective, nodes):
    """ELBO and its exact gradient under an estimator, from a grid of nodes."""
    points, weights = nodes(8)
    eps = np.stack(np.meshgrid(points, points, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    draws = tv.estimators.make(estimator)(q, reconstruction(model), eps, objective)
    weights = np.outer(weights, weights).ravel()
    loss = weights @ draws.f[:, 0] + objective.analytic_kl * q.kl()[0]
    return -loss, weights @ draws.dparams[:, 0] + objective.analytic_kl * q.kl_grad()[0]


QS = [([0.0, 0.0], [0.0, 0.0]), ([1.5, -0.4], [-2.0, 0.7]), ([-3.0, 2.0], [1.0, -4.0])]


@pytest.mark.parametrize("kl", ["analytic", "monte_carlo"])
@pytest.mark.parametrize("mu, logvar", QS)
def test_elbo_and_kl_to_the_posterior_add_up_to_the_log_likelihood(mu, logvar, kl, model, nodes):
    q = tv.DiagonalGaussian(np.array([mu]), np.array([logvar]))
    elbo, _ = expectation(model, q, "reparameterization", tv.ELBO(kl=kl), nodes)
    assert elbo + kl_to_posterior(model, q) == pytest.approx(model.log_px, abs=1e-10)


@pytest.mark.parametrize("kl", ["analytic", "monte_carlo"])
@pytest.mark.parametrize("estimator", ["reparameterization", "score_function"])
@pytest.mark.parametrize("mu, logvar", QS)
def test_loss_gradient_is_that_of_the_kl_to_the_posterior(mu, logvar, estimator, kl, model, nodes):
    q = tv.DiagonalGaussian(np.array([mu]), np.array([logvar]))
    _, gradient = expectation(model, q, estimator, tv.ELBO(kl=kl), nodes)
    dmu = model.precision @ (q.mu[0] - model.mean)
    dlogvar = 0.5 * (np.exp(q.logvar[0]) * np.diag(model.precision) - 1)
    exact = np.concatenate([dmu, dlogvar])
    assert np.linalg.norm(gradient - exact) < 1e-10 * (1 + np.linalg.norm(exact))


def test_the_best_diagonal_q_leaves_the_known_gap(model, nodes):
    variance = model.s**2 / np.diag(model.M)
    q = tv.DiagonalGaussian(model.mean[None], np.log(variance)[None])
    elbo, gradient = expectation(model, q, "reparameterization", tv.ELBO(), nodes)
    gap = 0.5 * (np.log(np.diag(model.M)).sum() - np.linalg.slogdet(model.M)[1])
    assert gap > 0.01
    assert model.log_px - elbo == pytest.approx(gap, abs=1e-10)
    np.testing.assert_allclose(gradient, 0, atol=1e-10)


@pytest.mark.parametrize("beta", [0.0, 0.5, 4.0])
def test_beta_weighs_the_kl_the_same_in_both_forms(beta, model, nodes):
    q = tv.DiagonalGaussian(np.array([[1.5, -0.4]]), np.array([[-2.0, 0.7]]))
    closed, closed_gradient = expectation(model, q, "reparameterization", tv.ELBO(beta, "analytic"), nodes)
    sampled, sampled_gradient = expectation(model, q, "reparameterization", tv.ELBO(beta, "monte_carlo"), nodes)
    assert sampled == pytest.approx(closed, abs=1e-10)
    np.testing.assert_allclose(sampled_gradient, closed_gradient, rtol=0, atol=1e-10)
