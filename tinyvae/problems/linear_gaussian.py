"""The linear-Gaussian model: the one latent variable model whose every quantity has a closed form."""

import numpy as np

from tinyvae import validate
from tinyvae.distributions import DiagonalGaussian
from tinyvae.estimators import Target
from tinyvae.objectives import ELBO
from tinyvae.problems.exact import NODES, exact_gradient
from tinyvae.problems.problem import Problem

__all__ = ["LinearGaussian", "linear_gaussian"]


class LinearGaussian:
    """z ~ N(0, I), x | z ~ N(W z + m, s^2 I): the posterior, the likelihood and every gradient in closed form.

    W: (D, K); m: (D,); s: a number above 0; all float64. With M = W' W + s^2 I the posterior is N(M^-1 W' (x - m), s^2 M^-1).
    Source: Tipping & Bishop 1999, section 3.
    """

    def __init__(self, W, m, s):
        self.W = validate.array("W", W, ("D", "K"), "float64")
        self.m = validate.array("m", m, (len(W),), "float64")
        self.s = validate.number("s", s, least=0, open_least=True)
        self.M = self.W.T @ self.W + self.s**2 * np.eye(self.W.shape[1])

    def sample(self, n, rng):
        """Observations, (n, D)."""
        z, noise = rng.standard_normal((n, self.W.shape[1])), rng.standard_normal((n, len(self.W)))
        return z @ self.W.T + self.m + self.s * noise

    def posterior(self, x):
        """Mean (B, K) and covariance (K, K) of p(z | x). x (B, D)."""
        return np.linalg.solve(self.M, self.W.T @ (x - self.m).T).T, self.s**2 * np.linalg.inv(self.M)

    def log_likelihood(self, x):
        """log p(x), nats, (B,): x ~ N(m, W W' + s^2 I)."""
        C = self.W @ self.W.T + self.s**2 * np.eye(len(self.W))
        off = x - self.m
        return -0.5 * (
            len(C) * np.log(2 * np.pi)
            + np.linalg.slogdet(C)[1]
            + np.einsum("bd,bd->b", off, np.linalg.solve(C, off.T).T)
        )

    def best(self, x):
        """The diagonal Gaussian of the highest ELBO, (B, K): the posterior's means, and s^2 / M_kk as variances."""
        mean, _ = self.posterior(x)
        return DiagonalGaussian(mean, np.tile(np.log(self.s**2 / np.diag(self.M)), (len(x), 1)))

    def target(self, x):
        """f(z) = -log p(x | z) with its slope, a Target."""
        constant = 0.5 * len(self.W) * np.log(2 * np.pi * self.s**2)

        def value(z):
            return ((z @ self.W.T + self.m - x) ** 2).sum(axis=2) / (2 * self.s**2) + constant

        return Target(value, lambda z: (z @ self.W.T + self.m - x) @ self.W / self.s**2)

    def elbo(self, q, x, beta=1.0):
        """E_q[log p(x | z)] - beta KL(q || p), nats, (B,)."""
        spread = np.exp(q.logvar) @ (self.W**2).sum(axis=0) / (2 * self.s**2)  # B
        return -self.target(x)(q.mu[None])[0] - spread - beta * q.kl()

    def gradient(self, q, x, beta=1.0):
        """d(-ELBO)/d[mu, logvar], (B, 2K)."""
        dmu = self.target(x).grad(q.mu[None])[0]
        dlogvar = np.exp(q.logvar) * (self.W**2).sum(axis=0) / (2 * self.s**2)
        return q.join(dmu, dlogvar) + beta * q.kl_grad()


def linear_gaussian(objective=None, n_samples=1, n_features=5, n_latents=3, n_points=4, off=0.5, seed=0):
    """A LinearGaussian model drawn by the seed, n_points observations of it, and a q near the best diagonal one.

    off: how far q's means and log-variances are from the best, in its standard deviations. Exact gradients: closed form for
    an ELBO, quadrature (up to three latents) for the importance-weighted bound.
    """
    rng = np.random.default_rng(validate.integer("seed", seed, least=0))
    model = LinearGaussian(rng.standard_normal((n_features, n_latents)), rng.standard_normal(n_features), 0.7)
    x = model.sample(n_points, rng)
    best = model.best(x)
    q = DiagonalGaussian(
        best.mu + off * best.std * rng.standard_normal(best.mu.shape),
        best.logvar + off * rng.standard_normal(best.mu.shape),
    )
    objective, target = ELBO() if objective is None else objective, model.target(x)
    if objective.averages:
        exact, n_samples = model.gradient(q, x, objective.kl_weights(q) + objective.sampled_kl), None
    else:
        exact = exact_gradient(q, target, objective, NODES[n_latents], n_samples) if n_latents in NODES else None
    return Problem("linear_gaussian", q, target, objective, exact, n_samples)
