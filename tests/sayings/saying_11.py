"""What lecture notes say: the rows of lesson 11, each number computed anew."""

import numpy as np
import scipy.optimize
import scipy.stats

import tinyvae as tv


def saying_the_kl_makes_it_continuous():
    """One pixel with a decoder of slope b: noise is what pays for it, 1/2 log(1 + b^2 / s^2) nats at the best sigma."""
    eps, weights = tv.check.gauss_hermite(8, 1)  # n, 1; n
    s = 0.2

    def loss(logvar, slope):
        miss = weights @ (slope * np.exp(logvar / 2) * eps[:, 0]) ** 2 / (2 * s**2)
        return miss + tv.DiagonalGaussian(np.zeros((1, 1)), np.full((1, 1), logvar)).kl()[0]

    for slope, nats in ((1, 1.63), (10, 3.91)):
        best = scipy.optimize.minimize_scalar(lambda logvar: loss(logvar, slope), bounds=(-12, 2), method="bounded")
        assert abs(best.fun - 0.5 * np.log(1 + slope**2 / s**2)) < 1e-6 and abs(best.fun - nats) < 0.005
    kl = [tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1))).kl()[0] for _ in (1, 10)]  # at sigma = 1
    assert kl == [0, 0]  # whatever the decoder does: the KL does not see it


def saying_a_line_between_two_draws():
    """The middle of two draws from N(0, I) has a mean squared length of K/2: hardly a draw lies so near to 0."""
    for n_latents, share in ((2, 0.3935), (10, 0.1088), (50, 0.0012)):
        assert abs(scipy.stats.chi2(n_latents).cdf(n_latents / 2) - share) < 5e-5
    z = tv.evaluate.interpolate(*np.random.default_rng(0).standard_normal((2, 20_000, 50)), 3)[1::3]  # n, K
    squares = (z**2).sum(axis=1)  # n
    assert abs(squares.mean() - 25) < 5 * squares.std() / np.sqrt(len(z))


def saying_a_grid_from_minus_three_to_three():
    """Of 20 x 20 equally spaced codes 53% lie outside the circle that holds 95% of N(0, I), of equal masses 1%."""
    equal = np.stack(np.meshgrid(*[np.linspace(-3, 3, 20)] * 2), axis=-1).reshape(-1, 2)  # 400, 2
    by_mass = tv.evaluate.manifold(tv.VAE(4, 2, ()), 20)  # 400, 2
    for codes, share in ((equal, 0.53), (by_mass, 0.01)):
        assert abs(((codes**2).sum(axis=1) > scipy.stats.chi2(2).ppf(0.95)).mean() - share) < 0.005
