"""The linear-Gaussian model: the one latent variable model whose every quantity has a closed form."""

import numpy as np

from tinyvae import validate
from tinyvae.distributions import DiagonalGaussian, FullGaussian
from tinyvae.estimators import Target
from tinyvae.objectives import ELBO, check_objective
from tinyvae.problems.exact import NODES, exact_gradient
from tinyvae.problems.problem import Problem
from tinyvae.variance.replicates import analytic_kl_grad

__all__ = ["LinearGaussian", "linear_gaussian"]


class LinearGaussian:
    """z ~ N(0, I), x | z ~ N(W z + m, s^2 I): the posterior, the likelihood and every gradient in closed form.

    With M = W' W + s^2 I the posterior is N(M^-1 W' (x - m), s^2 M^-1).

    Parameters
    ----------
    W : array (D, K)
        float64.
    m : array (D,)
        float64.
    s : float
        Above 0.

    Attributes
    ----------
    W, m, s
        As given.
    M : array (K, K)
        W' W + s^2 I.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, here and in every method.

    Notes
    -----
    Source: Tipping & Bishop 1999, section 3.
    """

    def __init__(self, W, m, s):
        self.W = validate.array("W", W, ("D", "K"), "float64")
        self.m = validate.array("m", m, (len(self.W),), "float64")
        self.s = validate.number("s", s, least=0, open_least=True)
        self.M = self.W.T @ self.W + self.s**2 * np.eye(self.W.shape[1])

    def sample(self, n, rng):
        """n observations x, from a numpy Generator, (n, D)."""
        n, rng = validate.integer("n", n, least=0), validate.generator("rng", rng)
        z, noise = rng.standard_normal((n, self.W.shape[1])), rng.standard_normal((n, len(self.W)))
        return z @ self.W.T + self.m + self.s * noise

    def posterior(self, x):
        """Mean (B, K) and covariance (K, K) of p(z | x). x (B, D)."""
        return np.linalg.solve(self.M, self.W.T @ (self._checked(x) - self.m).T).T, self.s**2 * np.linalg.inv(self.M)

    def log_likelihood(self, x):
        """log p(x): x ~ N(m, W W' + s^2 I). x (B, D) -> (B,), nats."""
        C = self.W @ self.W.T + self.s**2 * np.eye(len(self.W))
        off = self._checked(x) - self.m
        return -0.5 * (
            len(C) * np.log(2 * np.pi)
            + np.linalg.slogdet(C)[1]
            + np.einsum("bd,bd->b", off, np.linalg.solve(C, off.T).T)
        )

    def best(self, x):
        """The diagonal Gaussian of the highest ELBO: the posterior's means, and s^2 / M_kk as variances.

        x (B, D) -> a DiagonalGaussian, (B, K).
        """
        mean, _ = self.posterior(x)
        return DiagonalGaussian(mean, np.tile(np.log(self.s**2 / np.diag(self.M)), (len(x), 1)))

    def posterior_q(self, x):
        """The posterior as a q, whose ELBO is log p(x). x (B, D) -> a FullGaussian, (B, K)."""
        mean, covariance = self.posterior(x)
        factor = np.linalg.cholesky(covariance)
        parts = np.log(np.diag(factor)), factor[np.tril_indices(len(factor), -1)]
        return FullGaussian(mean, *(np.tile(part, (len(mean), 1)) for part in parts))

    def target(self, x):
        """f(z) = -log p(x | z), nats, with its slope. x (B, D) -> a Target."""
        x = self._checked(x)
        constant = 0.5 * len(self.W) * np.log(2 * np.pi * self.s**2)

        def value(z):
            return ((z @ self.W.T + self.m - x) ** 2).sum(axis=2) / (2 * self.s**2) + constant

        return Target(value, lambda z: (z @ self.W.T + self.m - x) @ self.W / self.s**2)

    def elbo(self, q, x, beta=1.0):
        """E_q[log p(x | z)] - beta KL(q || p).

        Parameters
        ----------
        q : DiagonalGaussian or FullGaussian
            (B, K).
        x : array (B, D)
            Observations.
        beta : float
            The KL's weight.

        Returns
        -------
        array (B,)
            Nats.
        """
        if hasattr(q, "covariance"):
            spread = np.einsum("bij,ij->b", q.covariance, self.W.T @ self.W) / (2 * self.s**2)  # B
        else:
            spread = np.exp(q.logvar) @ (self.W**2).sum(axis=0) / (2 * self.s**2)  # B
        return -self.target(self._checked(x, len(q.mu)))(q.mu[None])[0] - spread - beta * q.kl()

    def gradient(self, q, x, beta=1.0):
        """d(-ELBO)/dparams of q.

        Parameters
        ----------
        q : DiagonalGaussian or FullGaussian
            (B, K).
        x : array (B, D)
            Observations.
        beta : float
            The KL's weight.

        Returns
        -------
        array (B, P)
            The gradient.
        """
        dmu = self.target(self._checked(x, len(q.mu))).grad(q.mu[None])[0]
        if hasattr(q, "covariance"):
            dfactor = (self.W.T @ self.W / self.s**2) @ q.factor  # B, K, K
            dlogdiag = np.einsum("bii,bii->bi", dfactor, q.factor)
            return q.join(dmu, dlogdiag, dfactor[:, *np.tril_indices(len(self.M), -1)]) + beta * q.kl_grad()
        dlogvar = np.exp(q.logvar) * (self.W**2).sum(axis=0) / (2 * self.s**2)
        return q.join(dmu, dlogvar) + beta * q.kl_grad()

    def _checked(self, x, rows="B"):
        """x (B, D), real and finite, in float64."""
        x = validate.real("x", x, np.dtype("float64"))
        validate.check_shape("x", x, (rows, len(self.W)))
        validate.check_finite("x", x)
        return x


def linear_gaussian(objective=None, n_samples=1, n_features=5, n_latents=3, n_points=4, off=0.5, seed=0):
    """A LinearGaussian model drawn by the seed, n_points observations of it, and a q near the best diagonal one.

    Exact gradients: closed form for an ELBO, quadrature (up to three latents) for the importance-weighted bound.

    Parameters
    ----------
    objective : ELBO, ImportanceWeighted or None
        None for the ELBO.
    n_samples : int
        S, on which the gradient of the importance-weighted bound depends.
    n_features : int
        D.
    n_latents : int
        K.
    n_points : int
        B.
    off : float
        How far q's means and log-variances are from the best, in its standard deviations.
    seed : int
        Of the model, the observations and q.

    Returns
    -------
    Problem
        Its gradient (B, 2K) has an analytic KL's included; None for the bound with more than three latents.

    Raises
    ------
    ValueError or TypeError
        If the seed, a size, or n_samples for the bound, is not an integer that fits, or `off` no finite number.
    """
    n_features, n_latents, n_points = (
        validate.integer(name, n, least=1)
        for name, n in (("n_features", n_features), ("n_latents", n_latents), ("n_points", n_points))
    )
    off = validate.number("off", off)
    rng = np.random.default_rng(validate.integer("seed", seed, least=0))
    model = LinearGaussian(rng.standard_normal((n_features, n_latents)), rng.standard_normal(n_features), 0.7)
    x = model.sample(n_points, rng)
    best = model.best(x)
    q = DiagonalGaussian(
        best.mu + off * best.std * rng.standard_normal(best.mu.shape),
        best.logvar + off * rng.standard_normal(best.mu.shape),
    )
    objective, target = ELBO() if objective is None else objective, model.target(x)
    check_objective(objective)
    if objective.averages:
        exact, n_samples = model.gradient(q, x, objective.sampled_kl) + analytic_kl_grad(q, objective), None
    else:
        exact = exact_gradient(q, target, objective, NODES[n_latents], n_samples) if n_latents in NODES else None
    return Problem("linear_gaussian", q, target, objective, exact, n_samples)
