"""Named problems for the laboratory, each with its exact gradient: toys, a linear-Gaussian model, a real VAE by quadrature."""

from typing import NamedTuple

import numpy as np

from tinyvae import check, validate
from tinyvae.check import Problem
from tinyvae.distributions import DiagonalGaussian
from tinyvae.estimators import Target
from tinyvae.objectives import ELBO, PLAIN, ImportanceWeighted
from tinyvae.vae import VAE
from tinyvae.variance.measurement import reconstruction

QUADRATURE_ROWS = 20_000  # decoder rows that `vae_gradient` holds at once
NODES = {1: 64, 2: 32, 3: 20}  # in each latent, unless the caller says otherwise


def names():
    """The problems' names, in reading order."""
    return list(PROBLEMS)


def make(name, objective=None, n_samples=1, **options):
    """The `check.Problem` called `name`, float64: q, target, objective, and the exact gradient that `variance.measure_target`
    must find, (B, 2K), an analytic KL's included, or None where none is known.

    objective: None for the problem's own: the plain expectation, or the ELBO for a model; the toys are expectations
    and take no other. n_samples: S, on which the gradient of an importance-weighted bound depends; options: the
    problem's own, see its function. Raises ValueError for an unknown name or an objective that does not fit.
    """
    function = PROBLEMS[validate.choice("problem", name, PROBLEMS)]
    if function is linear_gaussian:
        return linear_gaussian(objective, n_samples, **options)
    if objective not in (None, PLAIN):
        raise ValueError(f"problem {name!r} is a plain expectation, which has no KL and no bound: leave the objective out, or take 'linear_gaussian' or a model")
    return function(**options)


# --- toys -------------------------------------------------------------------------------------------------


def quadratic(k=-3.0, offset=0.0, mu=1.0, sigma=1.0):
    """(z - k)^2 + offset:  d/dmu = 2 (mu - k),  d/dlogvar = sigma^2."""
    q = _one(mu, sigma)
    target = Target(lambda z: ((z - k) ** 2).sum(axis=2) + offset, lambda z: 2 * (z - k))
    return _problem("quadratic", q, target, 2 * (mu - k), sigma**2)


def quadratic_offset():
    """(z + 3)^2 + 1000: a constant that a learning signal without a baseline suffers from."""
    return quadratic(offset=1000.0)._replace(name="quadratic_offset")


def exp(k=1.0, mu=1.0, sigma=1.0):
    """exp(-k z^2):  E = exp(-k mu^2 / c) / sqrt(c), c = 1 + 2 k sigma^2;  d/dmu = -2 k mu / c E,

    d/dlogvar = sigma^2 (2 k^2 mu^2 / c^2 - k / c) E.
    """
    c = 1 + 2 * k * sigma**2
    mean = np.exp(-k * mu**2 / c) / np.sqrt(c)
    target = Target(lambda z: np.exp(-k * z * z).sum(axis=2), lambda z: -2 * k * z * np.exp(-k * z * z))
    return _problem("exp", _one(mu, sigma), target, -2 * k * mu / c * mean, sigma**2 * (2 * (k * mu / c) ** 2 - k / c) * mean)


def cosine(k=0.5, mu=1.0, sigma=1.0):
    """cos(k z):  d/dmu = -k sin(k mu) exp(-k^2 sigma^2 / 2),  d/dlogvar = -k^2 sigma^2 / 2 cos(k mu) exp(-k^2 sigma^2 / 2)."""
    damping = np.exp(-0.5 * (k * sigma) ** 2)
    target = Target(lambda z: np.cos(k * z).sum(axis=2), lambda z: -k * np.sin(k * z))
    return _problem("cosine", _one(mu, sigma), target, -k * np.sin(k * mu) * damping, -0.5 * (k * sigma) ** 2 * np.cos(k * mu) * damping)


def coupled(n_latents=5, mu=1.0, sigma=1.0):
    """(sum_k z_k - 1)^2:  d/dmu_k = 2 (sum mu - 1),  d/dlogvar_k = sigma^2."""
    q = DiagonalGaussian(np.full((1, n_latents), mu), np.full((1, n_latents), 2 * np.log(sigma)))
    target = Target(lambda z: (z.sum(axis=2) - 1) ** 2, lambda z: np.broadcast_to(2 * (z.sum(axis=2, keepdims=True) - 1), z.shape).copy())
    return _problem("coupled", q, target, 2 * (n_latents * mu - 1), sigma**2)


def _one(mu, sigma):
    return DiagonalGaussian(np.full((1, 1), mu), np.full((1, 1), 2 * np.log(sigma)))


def _problem(name, q, target, dmu, dlogvar):
    return Problem(name, q, target, None, np.concatenate([np.full(q.mu.shape, dmu), np.full(q.mu.shape, dlogvar)], axis=1))


# --- the linear-Gaussian model ----------------------------------------------------------------------------


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
        return -0.5 * (len(C) * np.log(2 * np.pi) + np.linalg.slogdet(C)[1] + np.einsum("bd,bd->b", off, np.linalg.solve(C, off.T).T))

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
        return np.concatenate([dmu, dlogvar], axis=1) + beta * q.kl_grad()


def linear_gaussian(objective=None, n_samples=1, n_features=5, n_latents=3, n_points=4, off=0.5, seed=0):
    """A LinearGaussian model drawn by the seed, n_points observations of it, and a q near the best diagonal one.

    off: how far q's means and log-variances are from the best, in its standard deviations. Exact gradients: closed form for
    an ELBO, quadrature (up to three latents) for the importance-weighted bound.
    """
    rng = np.random.default_rng(validate.integer("seed", seed, least=0))
    model = LinearGaussian(rng.standard_normal((n_features, n_latents)), rng.standard_normal(n_features), 0.7)
    x = model.sample(n_points, rng)
    best = model.best(x)
    q = DiagonalGaussian(best.mu + off * best.std * rng.standard_normal(best.mu.shape), best.logvar + off * rng.standard_normal(best.mu.shape))
    objective, target = ELBO() if objective is None else objective, model.target(x)
    if isinstance(objective, ImportanceWeighted):
        exact = check.exact_gradient(q, target, objective, NODES[n_latents], n_samples) if n_latents in NODES else None
    else:
        exact, n_samples = model.gradient(q, x, objective.analytic_kl + objective.sampled_kl), None
    return Problem("linear_gaussian", q, target, objective, exact, n_samples)


PROBLEMS = {f.__name__: f for f in (quadratic, quadratic_offset, exp, cosine, coupled, linear_gaussian)}


# --- the truth inside a real VAE --------------------------------------------------------------------------


class Reference(NamedTuple):
    """What `vae_gradient` returns. gradients: {"mu", "logvar": (B, K), "encoder": (P,)}, as in `variance.measure`; error: the
    largest difference of a coordinate's gradient to a rule of three quarters of the nodes, over the largest coordinate."""

    gradients: dict
    error: float


def vae_gradient(vae, x, objective=ELBO(), n_samples=1, n_nodes=None):
    """The exact gradient of a VAE's loss on one batch, by Gauss-Hermite quadrature over one to three latents, in float64.

        d/d[mu, logvar] = E[f score] by `check.exact_gradient`, then the encoder's own backward pass

    x: (B, D); objective: an ELBO or ImportanceWeighted, whose bound depends on n_samples; n_nodes: in each latent, None for
    64, 32 or 20. The model is not changed: a copy in float64 is used.
    Returns a Reference. Raises ValueError for more than three latents, or input that does not fit.
    """
    if vae.n_latents not in NODES:
        raise ValueError(f"quadrature is for one to three latents, got {vae.n_latents}: train a model with --n-latents 2, or measure without the exact gradient")
    n_nodes = validate.integer("n_nodes", NODES[vae.n_latents] if n_nodes is None else n_nodes, least=2)
    exact = VAE(**{**vae.config, "dtype": "float64"})
    exact.theta[:] = vae.theta
    x = exact._data(x)
    params, cache = exact.encoder.forward(x)
    coarse, fine = (_quadrature(exact, x, params, objective, n_samples, n) for n in (3 * n_nodes // 4, n_nodes))
    error = float(np.abs(fine - coarse).max() / np.abs(fine).max())
    gradient = fine + objective.analytic_kl * DiagonalGaussian.from_params(params).kl_grad()  # B, 2K
    _, grads = exact.encoder.backward(cache, gradient / len(x))
    n = vae.n_latents
    return Reference({"mu": gradient[:, :n], "logvar": gradient[:, n:], "encoder": np.concatenate([g.ravel() for g in grads.values()])}, error)


def _quadrature(vae, x, params, objective, n_samples, n_nodes):
    """`check.exact_gradient`, a few data points at a time: (B, 2K)."""
    n_points = max(1, QUADRATURE_ROWS // n_nodes**vae.n_latents)
    pieces = [slice(start, start + n_points) for start in range(0, len(x), n_points)]
    return np.concatenate([
        check.exact_gradient(DiagonalGaussian.from_params(params[p]), reconstruction(vae, x[p]), objective, n_nodes, n_samples=n_samples)
        for p in pieces
    ])
