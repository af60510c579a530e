"""What the VQ-VAE is worth: against product quantization by k-means at equal bits, and by what is drawn from it."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.cluster.vq
import scipy.optimize
from scipy.special import expit

import tinyvae as tv
from tinyvae.models import AutoregressivePrior, PositionPrior
from tinyvae.models.quantization import perplexity

POSITIONS, CODES = 8, 16  # 32 bits an image
pytestmark = pytest.mark.slow


def trained(x, epochs, rate):
    model = tv.VQVAE(x.shape[1], POSITIONS, CODES, 2, (128,), activation="relu")
    model.start_at(x)
    steps = epochs * -(-len(x) // 100)
    tv.fit(model, x, epochs=epochs, optimizer=tv.Adam(tv.schedules.Cosine(rate, steps)))
    return model


def product_quantization(x, x_test):
    """Squared error of each test image: the pixels in POSITIONS parts, the centres of k-means for each."""
    rng, errors = np.random.default_rng(0), 0.0
    for part in np.array_split(np.arange(x.shape[1]), POSITIONS):
        centres, _ = scipy.cluster.vq.kmeans2(x[:, part].astype("float64"), CODES, iter=30, minit="++", seed=rng)
        errors = errors + ((x_test[:, None, part] - centres) ** 2).sum(axis=2).min(axis=1)
    return errors


def mean_and_error(differences):
    return differences.mean(), differences.std(ddof=1) / len(differences) ** 0.5


@pytest.fixture(scope="module")
def digits_and_model():
    data = tv.datasets.load("digits")
    return data, trained(data.train, 40, 1e-2)


def test_held_out_digits_are_nearer_than_by_product_quantization(digits_and_model):
    data, model = digits_and_model
    ours = ((model.reconstruct(data.test) - data.test) ** 2).sum(axis=1)
    theirs = product_quantization(data.train, data.test)
    value, error = mean_and_error(theirs - ours)
    book, apart = model.perplexity(data.test), perplexity(model.use(data.test))
    print(
        f"squared error {ours.mean():.3f}, product quantization {theirs.mean():.3f}: {value:.3f} +- {1.96 * error:.3f} "
        f"less; perplexity of the codebook {book:.1f}, of a position {apart.min():.1f} to {apart.max():.1f}"
    )
    assert value > 4 * error
    assert book > CODES / 2 and apart.mean() > CODES / 2


def told_apart(real, drawn, real_test, drawn_test):
    """Whether logistic regression, learnt on the first two, names each of the last two right: two arrays of bool.

    Its features are 15 principal components of the real images and their products, so that it sees what pixels have to
    do with each other; a ridge of variance 1 on the scaled features.
    """
    mean = real.mean(axis=0)
    _, _, axes = np.linalg.svd(real - mean, full_matrices=False)
    one, other = np.triu_indices(15)

    def features(images):
        z = (images - mean) @ axes[:15].T
        return np.concatenate([z, z[:, one] * z[:, other]], axis=1)

    both = features(np.concatenate([real, drawn]))
    centre, spread = both.mean(axis=0), both.std(axis=0)

    def inputs(f):
        return np.column_stack([(f - centre) / spread, np.ones(len(f))])

    both, sign = inputs(both), np.repeat([1, -1], [len(real), len(drawn)])

    def loss_and_slope(w):
        score, ridge = sign * (both @ w), np.append(w[:-1], 0)
        return np.logaddexp(0, -score).sum() + 0.5 * (ridge**2).sum(), ridge - (sign * expit(-score)) @ both

    w = scipy.optimize.minimize(loss_and_slope, np.zeros(both.shape[1]), jac=True, method="L-BFGS-B").x
    return inputs(features(real_test)) @ w > 0, inputs(features(drawn_test)) @ w < 0


def test_draws_of_the_autoregressive_prior_are_harder_to_tell_from_held_out_digits(digits_and_model):
    data, model = digits_and_model
    codes, held_out = model.encode(data.train), model.encode(data.test)
    apart, prior = PositionPrior(POSITIONS, CODES, codes), AutoregressivePrior(POSITIONS, CODES, (128,))
    tv.fit(prior, codes, held_out[:100], epochs=20, patience=3, optimizer=tv.Adam(5e-3))
    value, error = mean_and_error(prior.log_prob(held_out[100:]) - apart.log_prob(held_out[100:]))
    print(f"codes of held-out digits: {value:.2f} +- {1.96 * error:.2f} nats more than by position")
    assert value > 4 * error

    rng, n, right = np.random.default_rng(0), len(data.train), {}
    for name, one in (("by position", apart), ("autoregressive", prior)):
        drawn = model.decode(one.sample(n + len(data.test), rng)).mean
        right[name] = told_apart(data.train, drawn[:n], data.test, drawn[n:])
    # Accuracy: half on held-out digits, the same in both; half on draws, of their own. What was learnt from is held.
    digits = right["by position"][0].astype(float) - right["autoregressive"][0]
    drawn = [right[name][1] for name in right]
    value = (digits.mean() + drawn[0].mean() - drawn[1].mean()) / 2
    error = np.sqrt(digits.var() / len(digits) + sum(one.var() / len(one) for one in drawn)) / 2
    shares = ", ".join(f"{name} {np.mean([one.mean() for one in found]):.3f}" for name, found in right.items())
    print(f"told apart from held-out digits: {shares}: {value:.3f} +- {1.96 * error:.3f} less")
    assert value > 3 * error


@pytest.mark.skipif(
    not Path(os.environ.get("TINYVAE_DATA", "nowhere"), "frey_faces.npy").exists(),
    reason="TINYVAE_DATA names no folder with frey_faces.npy",
)
def test_held_out_faces_are_nearer_than_by_product_quantization():
    # The film's last 196 frames; differences are averaged over runs of 14, as frames follow one another slowly.
    faces = tv.datasets.load("frey_faces")
    model = trained(faces.train, 25, 3e-3)
    ours = ((model.reconstruct(faces.test) - faces.test) ** 2).sum(axis=1)
    theirs = product_quantization(faces.train, faces.test)
    value, error = mean_and_error((theirs - ours).reshape(-1, 14).mean(axis=1))
    use = model.use(faces.train)
    print(
        f"squared error {ours.mean():.2f}, product quantization {theirs.mean():.2f}: {value:.2f} +- {1.96 * error:.2f} "
        f"less; perplexity of a position {perplexity(use).min():.1f} to {perplexity(use).max():.1f}"
    )
    assert value > 3 * error and model.perplexity(faces.train) > CODES / 2
    prior = PositionPrior(POSITIONS, CODES, model.encode(faces.train))
    model.codes_prior = prior
    drawn = model.sample(50, np.random.default_rng(0))
    assert drawn.shape == (50, 560) and np.isfinite(drawn).all()
