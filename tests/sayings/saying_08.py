"""Sayings that lesson 08 answers: each number computed again from the package."""

import numpy as np

import tinyvae as tv


def saying_21():
    """The samples' own mean as a baseline: the gradient is (S - 1)/S times what it should be."""

    def own_sample(q, target, eps, objective=None, rng=None):
        z = q.sample(eps)  # S, B, K
        f = target(z)  # S, B
        return tv.Draws(f, (f - f.mean(axis=0))[..., None] * q.score(z))

    q = tv.DiagonalGaussian(np.array([[1.0]]), np.array([[0.0]]))
    bowl = tv.Target(lambda z: ((z + 3) ** 2).sum(axis=-1), lambda z: 2 * (z + 3))
    for S, expected in ((2, 4.0), (4, 6.0), (8, 7.0)):
        mean, _ = tv.check.exact_mean(own_sample, q, bowl, n_samples=S, n_nodes=4)  # B, 2K
        assert abs(mean[0, 0] - expected) < 1e-9
        mean, _ = tv.check.exact_mean("leave_one_out", q, bowl, n_samples=S, n_nodes=4)
        assert abs(mean[0, 0] - 8) < 1e-9


def saying_22():
    """A control variate that contains mu, differentiated through: for z^3 at mu = sigma = 1, 9 in place of 6."""
    nodes, weights = tv.check.gauss_hermite(10, 1)  # N, 1; N
    eps = nodes[:, 0]  # N

    def mean_of_c(mu, at):
        moved = mu + eps - at  # N
        return weights @ (at**3 + 3 * at**2 * moved + 3 * at * moved**2)

    residual, step = weights @ (eps**3 * eps), 1e-4  # f - c = eps^3 at mu = sigma = 1
    frozen = residual + (mean_of_c(1 + step, 1.0) - mean_of_c(1 - step, 1.0)) / (2 * step)
    through = residual + (mean_of_c(1 + step, 1 + step) - mean_of_c(1 - step, 1 - step)) / (2 * step)
    assert abs(frozen - 6) < 1e-6 and abs(through - 9) < 1e-6
    q = tv.DiagonalGaussian(np.array([[1.0]]), np.array([[0.0]]))
    cube = tv.Target(lambda z: (z**3).sum(axis=-1), lambda z: 3 * z**2)
    mean, _ = tv.check.exact_mean("delta_method", q, cube)  # B, 2K
    assert abs(mean[0, 0] - 6) < 1e-6 and abs(tv.check.exact_gradient(q, cube)[0, 0] - 6) < 1e-9
