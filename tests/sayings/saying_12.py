"""What lecture notes say: the rows of lesson 12, each number computed anew."""

import numpy as np

import tinyvae as tv

BITS = tv.likelihoods.Bernoulli


def loss_of(likelihood, outputs, x):
    """The loss of each row, (n,)."""
    losses = np.empty(len(x))  # n
    likelihood.loss(outputs, x, losses)
    return losses


def saying_8():
    """Mean squared error with a root: of 0, 0, 1 the root asks for 0, the squares for 1/3. And the mean: beta = D."""
    x, m = np.array([0.0, 0.0, 1.0]), np.arange(0, 301) / 300  # 3; n
    squares = (x - m[:, None]) ** 2  # n, 3
    assert abs(m[squares.mean(axis=1).argmin()] - 1 / 3) < 1e-12 and m[np.sqrt(squares).mean(axis=1).argmin()] == 0
    n_pixels, beta = 64, 64
    rng = np.random.default_rng(0)
    outputs, x = rng.normal(size=(2, 5, n_pixels))  # n, D; n, D
    mean = ((x - outputs) ** 2).mean(axis=1)  # n
    gaussian = loss_of(tv.likelihoods.Gaussian(variance=n_pixels / 2), outputs, x)  # n
    np.testing.assert_allclose(gaussian - mean, n_pixels / 2 * np.log(np.pi * n_pixels), atol=1e-9)
    np.testing.assert_allclose(loss_of(tv.likelihoods.SquaredError, outputs, x), beta * mean, rtol=1e-9)


def saying_9():
    """Cross-entropy "is wrong" for grey levels: its minimum is their mean, but its mass is .4809 at m = 1/3."""
    x = np.array([0.1, 0.3, 0.6])  # three grey values of mean 1/3
    m = np.arange(1, 300)[:, None] / 300  # n, 1
    logits = np.log(m / (1 - m))  # n, 1
    entropy = np.mean([loss_of(BITS, logits, np.full_like(logits, value)) for value in x], axis=0)  # n
    assert abs(m[entropy.argmin(), 0] - 1 / 3) < 1e-12
    nodes, weights = np.polynomial.legendre.leggauss(40)
    nodes = ((nodes + 1) / 2)[:, None]  # n, 1
    at_third = np.full_like(nodes, np.log(0.5))  # n, 1
    assert abs(weights / 2 @ np.exp(-loss_of(BITS, at_third, nodes)) - 1 / (3 * np.log(2))) < 1e-12
    assert abs(1 / (3 * np.log(2)) - 0.4809) < 5e-5


def saying_10():
    """-E log p = ||x - Dec(Enc(x))||: 1.2939 against .25 where the decoder is z itself, of variance 1."""
    nodes, weights = tv.check.gauss_hermite(10, 1)  # n, 1; n
    z, x = 0.5 + np.sqrt(0.5) * nodes, 1.0  # n, 1: the posterior of z ~ N(0, 1), x | z ~ N(z, 1) at x = 1
    expected = weights @ loss_of(tv.likelihoods.Gaussian(variance=1.0), z, np.full_like(z, x))
    at_mean = (x - 0.5) ** 2
    assert abs(expected - 1.2939) < 5e-5 and at_mean == 0.25
    sample, variance, constant = 0.5 / 2, 1 / 2, np.log(2 * np.pi) / 2  # what is left out of it
    assert abs(expected - (variance * at_mean + sample + constant)) < 1e-12 and abs(constant - 0.9189) < 5e-5


def saying_13():
    """p(x-hat | z) at the decoder's own mean: a constant for a Gaussian, minus its entropy for a Bernoulli."""
    means = np.array([[0.1], [0.5], [0.9]])  # n, 1
    own = loss_of(tv.likelihoods.Gaussian(variance=1.0), means, means)  # n
    assert np.ptp(own) == 0 and abs(own[0] - 0.9189) < 5e-5
    slopes, losses = means.copy(), np.empty(3)  # n, 1; n
    tv.likelihoods.Gaussian(variance=1.0).loss_and_slope(slopes, means, losses)
    assert not slopes.any()
    means = np.array([[0.5], [0.99]])  # n, 1
    own = -loss_of(BITS, np.log(means / (1 - means)), means)  # n: log p
    np.testing.assert_allclose(own, (means * np.log(means) + (1 - means) * np.log(1 - means))[:, 0], atol=1e-12)
    assert np.abs(own - (-0.6931, -0.0560)).max() < 5e-5
