"""What lecture notes say about the noise of gradients, and what is so: the numbers of rows_06.md."""

import numpy as np

import tinyvae as tv


def saying_18():
    """The reparameterization is the noisier one on exp(-k z^2) from k = .87 on, on cos(k z) from k = 1.064 on."""
    for name, k in (("exp", 0.8700), ("cosine", 1.0638)):
        signs = []
        for nudge in (-1e-3, 1e-3):
            problem = tv.problems.make(name, k=k + nudge)
            variances = []
            for estimator in ("reparameterization", "score_function"):
                mean, variance = tv.check.exact_mean(estimator, problem.q, problem.target, n_nodes=150)
                assert np.allclose(mean, problem.gradient, atol=1e-9)
                variances.append(variance[0, 0])
            signs.append(np.sign(variances[0] - variances[1]))
        assert signs == [-1, 1], (name, signs)
    problem = tv.problems.make("quadratic")
    found = [
        tv.check.exact_mean(estimator, problem.q, problem.target)[1][0, 0]
        for estimator in ("reparameterization", "score_function")
    ]
    assert np.allclose(found, (4, 495), atol=1e-9)


def saying_19():
    """(z + 3)^2, d/dmu: 495; guided by f 259; best proposal 142.26; baseline 19 alone 134; both .83."""
    problem = tv.problems.make("quadratic")
    mean, plain = tv.check.exact_mean("score_function", problem.q, problem.target)
    _, based = tv.check.exact_mean(tv.estimators.make("constant_baseline", value=19.0), problem.q, problem.target)
    gradient = mean[0, 0]
    assert np.allclose((gradient, plain[0, 0], based[0, 0]), (8, 495, 134), atol=1e-9)

    nodes, weights = tv.check.gauss_hermite(20, 1)
    z = problem.q.sample(nodes[:, None])
    f, score = problem.target(z)[:, 0], problem.q.score(z)[:, 0, 0]
    guided = (weights @ f) * (weights @ (f * score**2)) - gradient**2
    assert abs(guided - 259) < 1e-9

    def best(b, kinks):
        """(E|(f - b) score|)^2 - gradient^2, piece by piece."""
        x, w = np.polynomial.legendre.leggauss(100)
        total = 0.0
        for low, high in zip(kinks, kinks[1:]):
            eps = (low + high) / 2 + (high - low) / 2 * x
            density = np.exp(-(eps**2) / 2) / np.sqrt(2 * np.pi)
            z = problem.q.sample(eps[:, None, None])
            value = (problem.target(z)[:, 0] - b) * problem.q.score(z)[:, 0, 0]
            total += (high - low) / 2 * (w @ (density * np.abs(value)))
        return total**2 - gradient**2

    root = np.sqrt(19)
    alone, both = best(0.0, (-12, 0, 12)), best(19.0, (-12, -4 - root, 0, -4 + root, 12))
    assert abs(alone - (648 / np.pi - 64)) < 1e-9 and abs(alone - 142.26) < 0.01
    assert abs(both - 0.826403) < 1e-6
