"""What lecture notes say: the rows of lesson 02, each number computed anew."""

import itertools

import numpy as np

import tinyvae as tv
from tinyvae import check


def _toy():
    """z ~ N(0, 1), x | z ~ N(z, 1), x = 1: the model, x, and the exact posterior as q."""
    model, x = tv.problems.LinearGaussian(np.eye(1), np.zeros(1), 1.0), np.ones((1, 1))
    return model, x, model.best(x)


def saying_3():
    """E_q[log q(z | x)] for the reconstruction gives a "bound" that lies above log p(x)."""
    model, x, q = _toy()
    eps, weights = check.gauss_hermite(20, 1)
    z = q.sample(eps[:, None])  # S, B, K
    own, given = weights @ q.log_prob(z)[:, 0], -weights @ model.target(x)(z)[:, 0]
    assert abs(own + 1.0724) < 1e-4 and abs(given + 1.2939) < 1e-4
    assert abs(own - q.kl()[0] + 1.2939) < 1e-4 and own - q.kl()[0] > model.log_likelihood(x)[0] + 0.2
    assert abs(given - q.kl()[0] - model.log_likelihood(x)[0]) < 1e-10


def saying_12():
    """A linear-Gaussian posterior has correlated latents, and a diagonal q pays for it."""
    W = np.array([[1.0, 0.8], [0.9, 0.2], [-0.4, 0.6], [0.3, 0.9], [1.1, 0.4], [0.2, -0.5]])
    model, x = tv.problems.LinearGaussian(W, np.zeros(6), 0.5), np.ones((1, 6))
    _, cov = model.posterior(x)
    correlation = cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1])
    gap = model.log_likelihood(x) - model.elbo(model.best(x), x)
    assert abs(correlation + 0.4516) < 1e-4
    assert abs(gap[0] + 0.5 * np.log(1 - correlation**2)) < 1e-10


def saying_14():
    """With a network for a decoder and K = 2, p(x) is a sum over a grid; its price is to the power of K."""
    vae = tv.VAE(n_features=5, n_latents=2, hidden=(20,), dtype="float64", seed=0)
    vae.theta[:] *= 2
    images = np.array(list(itertools.product((0.0, 1.0), repeat=5)))  # all there are
    found = []
    for n in (46, 91):
        axis = np.linspace(-6, 6, n)
        z = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        prior = np.exp(-0.5 * (z**2).sum(axis=1)) / (2 * np.pi) * (axis[1] - axis[0]) ** 2
        logits = vae.decode(z).logits
        found.append(prior @ np.exp(logits @ images.T - np.logaddexp(0, logits).sum(axis=1, keepdims=True)))
    assert abs(found[0] - found[1]).max() < 1e-8 and abs(found[0].sum() - 1) < 1e-8
    s, wide = 0.1, 1.2
    v, u = 1 + s**2, 1 + s**2 / 2
    assert abs(20 * (np.log(v / (s * np.sqrt(2 * u))) + 1 - v / (2 * u)) / np.log(10) - 21.4) < 0.05
    assert abs((wide**2 / np.sqrt(2 * wide**2 - 1)) ** 20 - 2.66) < 0.01


def saying_15():
    """-log p(x) and the reconstruction loss differ by the rate, at the exact posterior too."""
    model, x, q = _toy()
    reconstruction = -model.elbo(q, x, beta=0.0)[0]
    assert abs(-model.log_likelihood(x)[0] - 1.5155) < 1e-4 and abs(reconstruction - 1.2939) < 1e-4
    assert abs(reconstruction + q.kl()[0] + model.log_likelihood(x)[0]) < 1e-10
