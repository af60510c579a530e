"""What lecture notes say of the KL, and the numbers that speak against it: the rows of lesson 03."""

import numpy as np

import tinyvae as tv


def gaussian(mu, std):
    """N(mu, std^2) as the package's q, B = 1, K = 1."""
    return tv.DiagonalGaussian(np.array([[mu]], "float64"), 2 * np.log(np.array([[std]], "float64")))


def kl_between(q, p, n_nodes=2):
    """KL(q || p) of two of the package's Gaussians, by quadrature."""
    z, weights = q.nodes(n_nodes)  # N, B, K; N, B
    return (weights * (q.log_prob(z) - p.log_prob(z))).sum()


def two_codes(center):
    """The rate of codes N(-center, .0975) and N(center, .0975), their information, and the aggregate's own KL."""
    code, prior = gaussian(center, np.sqrt(0.0975)), gaussian(0.0, 1.0)
    z = np.linspace(-8, 8, 4001)[:, None, None]
    step = z[1, 0, 0] - z[0, 0, 0]
    one = code.log_prob(z)[:, 0]
    together = np.logaddexp(one, one[::-1]) - np.log(2)
    own = (np.exp(together) * (together - prior.log_prob(z)[:, 0])).sum() * step
    return code.kl()[0], (np.exp(one) * (one - together)).sum() * step, own


def saying_2():
    q = gaussian(1.0, 0.5)
    printed = -(1 + q.logvar - q.mu**2 - q.std**2).sum()
    assert abs(q.kl()[0] - 0.818147) < 1e-6
    assert abs(printed - 2 * q.kl()[0]) < 1e-12 and round(printed, 4) == 1.6363


def saying_4():
    # z ~ N(0, 1), x | z ~ N(z, 1), so that x ~ N(0, 2), and the exact posterior is N(x/2, 1/2).
    model = tv.problems.LinearGaussian(W=np.ones((1, 1)), m=np.zeros(1), s=1.0)
    eps, weights = tv.check.gauss_hermite(64, 1)
    x = np.sqrt(2) * eps  # N, D = 1
    q = model.best(x)  # exact: with K = 1 the posterior is diagonal
    z = np.linspace(-8, 8, 1001)
    each = q.log_prob(np.repeat(z[:, None, None], len(x), axis=1))  # G, N
    together = np.log(np.exp(each) @ weights)[:, None]  # G, 1: the aggregate
    rate, step = weights @ q.kl(), z[1] - z[0]
    information = (np.exp(each) * (each - together)).sum(axis=0) @ weights * step
    entropy = -weights @ model.log_likelihood(x)
    reconstruction = -weights @ (model.elbo(q, x) + q.kl())  # the distortion D
    for number in (rate, information, entropy - reconstruction):
        assert abs(number - np.log(2) / 2) < 1e-9 and round(number, 6) == 0.346574


def saying_5():
    near, far = two_codes(0.95), two_codes(5.0)
    assert abs(near[1] - 0.690) < 5e-4 and abs(far[1] - 0.693) < 5e-4  # the information hardly changes
    assert abs(near[0] - 1.164) < 5e-4 and abs(far[0] - 13.213) < 5e-4  # the rate does


def saying_11():
    rate, information, own = two_codes(0.95)
    assert abs(0.95**2 + 0.0975 - 1) < 1e-12  # the aggregate's variance
    assert abs(own - 0.474) < 5e-4 and abs(rate - information - own) < 1e-9


def saying_12():
    # z ~ N(0, I), x = z_1 + z_2 + noise of variance 1/4.
    model, x = tv.problems.LinearGaussian(W=np.ones((1, 2)), m=np.zeros(1), s=0.5), np.array([[1.7]])
    _, cov = model.posterior(x)
    assert abs(cov[0, 1] / cov[0, 0] + 0.8) < 1e-9
    missed = model.log_likelihood(x)[0] - model.elbo(model.best(x), x)[0]
    assert abs(missed - np.log(5 / 3)) < 1e-9 and round(missed, 3) == 0.511


def saying_16():
    narrow, wide = gaussian(0.0, 1.0), gaussian(0.0, 2.0)
    assert round(kl_between(narrow, wide), 3) == 0.318 and round(kl_between(wide, narrow), 3) == 0.807
