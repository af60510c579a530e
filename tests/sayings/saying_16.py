"""Sayings that lesson 16 answers: each number computed again from the package."""

import numpy as np

import tinyvae as tv


def saying_17():
    """The Gumbel-max trick draws from a softmax; normal noise does not, and Gumbel noise is no noise of a Gaussian."""
    logits, n = np.array([[0.0, 1.0, 2.0]]), 200_000
    softmax = np.exp(logits[0]) / np.exp(logits).sum()  # W
    assert np.allclose(softmax, (0.0900, 0.2447, 0.6652), atol=5e-5)
    # P(way w has the largest sum) is the integral over its own noise u of the others' distribution functions there.
    nodes, weights = np.polynomial.legendre.leggauss(40)
    u = (nodes + 1) / 2  # N
    for w, share in enumerate(softmax):
        others = np.delete(logits[0], w)
        wins = np.prod(u[:, None] ** np.exp(others - logits[0, w]), axis=1)  # N
        assert abs(weights @ wins / 2 - share) < 1e-4
    q, rng = tv.Categorical(logits, n_ways=3), np.random.default_rng(0)
    shares = q.sample(q.noise(rng, n)).mean(axis=(0, 1))  # W
    assert (np.abs(shares - softmax) < 5 * np.sqrt(softmax * (1 - softmax) / n)).all()
    z, weights = tv.check.gauss_hermite(60, 1)  # N, 1; N
    eps = z[:, 0]
    mean = np.array([weights @ eps, weights @ eps**2])
    assert np.allclose(mean, (0, 1), atol=1e-9)  # what a Gaussian's noise must have
    gumbel = -np.log(-np.log(rng.random(n)))  # n
    assert abs(gumbel.mean() - 0.577) < 5 * gumbel.std() / np.sqrt(n) + 5e-4
    assert abs(gumbel.var() / 1.645 - 1) < 5 * np.sqrt(4.4 / n) + 5e-4
    normal = np.bincount((logits + rng.standard_normal((n, 3))).argmax(axis=1), minlength=3) / n  # W
    assert np.allclose(normal, (0.048, 0.223, 0.730), atol=5 * 0.5 / np.sqrt(n))


def saying_30():
    """Straight-through for (z - t)^2 of one bit: biased by p (1 - p) (2 p - 1), and at rest at p = t."""
    t = 0.45
    bowl = tv.Target(lambda z: ((z - t) ** 2).sum(axis=-1), lambda z: 2 * (z - t))
    for p in (0.2, t, 0.75):
        q = tv.Binary(np.log([[p / (1 - p)]]))
        mean, _ = tv.check.exact_mean("straight_through", q, bowl, n_nodes=1)  # B, K
        truth = tv.check.exact_gradient(q, bowl)[0, 0]
        assert abs(truth - p * (1 - p) * (1 - 2 * t)) < 1e-12
        assert abs(mean[0, 0] - truth - p * (1 - p) * (2 * p - 1)) < 1e-12
        assert p != t or (abs(mean[0, 0]) < 1e-12 and truth > 0.02)
    # At rest there, the loss is that of a coin; the best bit is a 0.
    assert np.allclose((t * (1 - t) ** 2 + (1 - t) * t**2, t**2), (0.2475, 0.2025))


def saying_31():
    """Four values of f, f the sum of K fair bits: DisARM (3K - 3)/96, leave-one-out (2K - 1)/96."""
    total = tv.Target(lambda z: z.sum(axis=-1), np.ones_like)
    for K in (1, 2, 3):
        q = tv.Binary(np.zeros((1, K)))
        pair = tv.check.exact_mean("disarm", q, total, n_nodes=1)[1][0, 0]  # half of it is that of two pairs
        four = tv.check.exact_mean("leave_one_out", q, total, n_samples=4, n_nodes=1)[1][0, 0]
        assert np.allclose((pair / 2, four), ((3 * K - 3) / 96, (2 * K - 1) / 96), atol=1e-12)
