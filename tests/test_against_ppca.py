"""The Gaussian decoder against probabilistic PCA, whose densities are exact, on images that neither has seen.

The settings were chosen on a validation part of the training images: the last 196 training faces, 237 training digits.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp

import tinyvae as tv
from tinyvae.likelihoods import Gaussian
from tinyvae.problems import LinearGaussian


def ppca(x, n_latents):
    """Probabilistic PCA of x (n, D) by maximum likelihood (Tipping & Bishop 1999), a LinearGaussian."""
    x = x.astype("float64")
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    values, vectors = values[::-1], vectors[:, ::-1]
    noise = values[n_latents:].mean()
    return LinearGaussian(vectors[:, :n_latents] * np.sqrt(values[:n_latents] - noise), x.mean(axis=0), noise**0.5)


def trained(vae, x, epochs, rate):
    """Trained on x (n, D) by minibatches of 100: a warm-up of the KL in the first quarter, a cosine of the rate."""
    n_steps = epochs * -(-len(x) // 100)
    vae.start_at(x)
    objective = tv.ELBO(beta=tv.schedules.Linear(0.01, 1.0, n_steps // 4))
    optimizer = tv.Adam(tv.schedules.Cosine(rate, n_steps))
    for _ in tv.train(vae, x, objective=objective, optimizer=optimizer, epochs=epochs, batch_size=100):
        pass
    return vae


def mean_and_error(differences, run=1):
    """The mean of paired differences (n,) and its standard error, from means over `run` rows in a row."""
    n = len(differences) // run
    means = differences[: n * run].reshape(n, run).mean(axis=1)
    return means.mean(), means.std(ddof=1) / np.sqrt(n)


# --- Frey faces ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(
    not Path(os.environ.get("TINYVAE_DATA", "nowhere"), "frey_faces.npy").exists(),
    reason="TINYVAE_DATA names no folder with frey_faces.npy",
)
@pytest.mark.parametrize("n_latents", [2, 5, 10])
def test_held_out_faces(n_latents):
    # The film's last 196 frames are held out. Frames follow one another slowly: differences are averaged over runs of
    # 14 frames, and their standard error is that of the 14 runs' mean. One noise variance for all pixels in both.
    faces = tv.datasets.load("frey_faces")
    vae = trained(tv.VAE(560, n_latents, likelihood=Gaussian("isotropic")), faces.train, 200, 2e-3)
    exact = ppca(faces.train, n_latents).log_likelihood(faces.test)
    bound = vae.log_likelihood(faces.test, 1000, np.random.default_rng(0))  # in expectation below log p(x)
    value, error = mean_and_error(bound - exact, run=14)
    print(
        f"{n_latents} latents: PPCA {exact.mean():.1f}, VAE at least {bound.mean():.1f} nats a face, "
        f"{value:.1f} more, +- {1.96 * error:.1f}"
    )
    # No clear win: the differences are above 0 by 1.4 to 2.6 standard errors. What is certain is that the VAE is not
    # behind by 20 nats, .04 a pixel; half the epochs left it behind by 64 and more on the validation part.
    assert value + 20 > 4 * error


# --- the lower half of digits ---------------------------------------------------------------------------------

UPPER = np.arange(64) < 32


def log_normal(x, mean, variance):
    return -0.5 * ((x - mean) ** 2 / variance + np.log(2 * np.pi * variance)).sum(axis=-1)


def log_weights_of_upper(vae, x, n_samples, rng):
    """log p(upper half, z_s) - log q(z_s) of importance samples. x (n, 64) -> (n, n_samples).

    The encoder has no word for half an image. The proposal is a mixture, in equal parts, of q(z | x) for 15 draws of
    the lower half given the upper, and of the prior, whose samples keep the weights bounded.
    """
    filled = tv.evaluate.impute(vae, np.where(UPPER, x, np.nan).astype(vae.dtype), 15, rng, n_steps=50)
    q = vae.encode(filled.reshape(-1, 64))
    mean, std = (a.reshape(15, len(x), -1).astype("float64") for a in (q.mu, q.std))
    mean, std = np.concatenate([mean, np.zeros_like(mean[:1])]), np.concatenate([std, np.ones_like(std[:1])])
    found, part = np.empty((len(x), n_samples)), np.arange(n_samples) % 16  # as many samples of each
    for i in range(len(x)):
        m, s = mean[:, i], std[:, i]  # 16, K
        z = m[part] + s[part] * rng.standard_normal((n_samples, m.shape[1]))
        log_q = np.column_stack([log_normal(z, m[j], s[j] ** 2) for j in range(16)])
        says = vae.decode(z.astype(vae.dtype))
        log_p = log_normal(x[i, UPPER], says.mean[:, UPPER], says.variance[:, UPPER]) + log_normal(z, 0.0, np.ones(1))
        found[i] = log_p - logsumexp(log_q, axis=1) + np.log(16)
    return found


def log_mean(log_weights):
    """log of the weights' mean, (n, S) -> (n,): in expectation a lower bound of log p."""
    return logsumexp(log_weights, axis=1) - np.log(log_weights.shape[1])


@pytest.mark.slow
def test_the_estimate_of_the_upper_half_is_the_closed_form_of_a_linear_model():
    rng = np.random.default_rng(0)
    model = LinearGaussian(0.3 * rng.standard_normal((64, 2)), rng.standard_normal(64), 0.7)
    x, vae = model.sample(20, rng), tv.VAE(64, 2, (), likelihood=Gaussian(0.49), dtype="float64")
    vae.params["decoder.W0"][:], vae.params["decoder.b0"][:] = model.W.T, model.m
    A = np.linalg.solve(model.M, model.W.T)
    vae.params["encoder.W0"][:] = np.hstack([A.T, np.zeros((64, 2))])
    vae.params["encoder.b0"][:] = np.concatenate([-A @ model.m, np.log(0.49 / np.diag(model.M))])
    exact = LinearGaussian(model.W[UPPER], model.m[UPPER], model.s).log_likelihood(x[:, UPPER])
    off = log_mean(log_weights_of_upper(vae, x, 4096, rng)) - exact
    assert np.abs(off).max() < 0.1 and abs(off.mean()) < 0.02, off


def conditional(model, x):
    """log p(lower half | upper half) under a LinearGaussian, exact. x (n, 64) -> (n,)."""
    upper = LinearGaussian(model.W[UPPER], model.m[UPPER], model.s)
    return model.log_likelihood(x) - upper.log_likelihood(x[:, UPPER])


@pytest.mark.slow
@pytest.mark.parametrize("variance", ["isotropic", "per_pixel"])
def test_the_lower_half_of_held_out_digits(variance):
    # log p(lower | upper) = log p(both) - log p(upper), each of them too low in expectation: the first makes the
    # difference too low, the second too high, by a nat or so. What eight times the samples took off it is taken off
    # once more before anything is called better. Grey levels are spread evenly over their width, so that no density
    # runs away on pixels that are always 0.
    rng, digits = np.random.default_rng(0), tv.datasets.load("digits")
    train, test = (((16 * x).round() + rng.random(x.shape)) / 17 for x in (digits.train, digits.test))
    order = rng.permutation(len(train))
    fit, valid = train[order[:1200]], train[order[1200:]]
    chosen = max(range(1, 60), key=lambda k: conditional(ppca(fit, k), valid).mean())
    mean, square = train.mean(axis=0)[~UPPER], train.var(axis=0)[~UPPER]
    others = {
        "PPCA": conditional(ppca(train, chosen), test),
        "mean image, one variance": log_normal(test[:, ~UPPER], mean, np.full(32, square.mean())),
        "mean image, a variance a pixel": log_normal(test[:, ~UPPER], mean, square),
    }
    vae = trained(tv.VAE(64, 16, (128,), likelihood=Gaussian(variance)), train.astype("float32"), 300, 3e-3)
    both = vae.log_likelihood(test.astype("float32"), 1000, rng)
    weights = log_weights_of_upper(vae, test, 2048, rng)
    upper = log_mean(weights)
    rise = (upper - log_mean(weights[:, :256])).mean()
    print(f"{variance}: {(both - upper).mean():.2f} nats; eight times the samples took off {rise:.2f}")
    assert 0 < rise < 1.5
    for name, other in others.items():
        value, error = mean_and_error(both - upper - other)
        print(f"    {name}: {other.mean():.2f}, {value:.2f} more, +- {1.96 * error:.2f}; {chosen} latents in PPCA")
        # With one variance for all pixels the VAE does not beat PPCA, of which the choice is nearly a full covariance.
        assert (value - rise > 4 * error) == ((variance, name) != ("isotropic", "PPCA")), name
