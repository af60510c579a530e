"""What lecture notes say of beta and of the two limits: the rows of lesson 13."""

import numpy as np

import tinyvae as tv


def one_bit(r):
    """Rate and information of codes N(-m, s^2) and N(m, s^2) of a fair bit, m = r s, at the s of the least rate."""
    std = 1 / np.sqrt(1 + r**2)
    q = tv.DiagonalGaussian(np.array([[r * std]]), np.array([[2 * np.log(std)]]))
    other = q.like(q.params * (-1, 1))
    z = np.linspace(-12, 12, 4001)[:, None, None]
    own, both = q.log_prob(z), np.logaddexp(q.log_prob(z), other.log_prob(z)) - np.log(2)
    return q.kl()[0], (np.exp(own) * (own - both)).sum() * (z[1, 0, 0] - z[0, 0, 0])


def saying_6():
    """The toy of lesson 10 at x = 1, each beta with its best q."""
    model, x = tv.problems.LinearGaussian(W=np.ones((1, 1)), m=np.zeros(1), s=1.0), np.ones((1, 1))
    objective = {}
    for beta in (0.5, 1.0, 2.0):
        q = tv.DiagonalGaussian(np.array([[1 / (1 + beta)]]), np.log([[beta / (1 + beta)]]))
        objective[beta] = model.elbo(q, x, beta)[0]
        assert np.abs(model.gradient(q, x, beta)).max() < 1e-12  # no other q does better
    log_px = model.log_likelihood(x)[0]
    assert abs(log_px + 1.5155) < 5e-5 and abs(objective[1.0] - log_px) < 1e-12
    assert round(objective[0.5], 3) == -1.360 and round(objective[2.0], 3) == -1.658


def saying_7():
    """One fair bit, H = .693. R = 0: D = H for a pixel, 2 H for two that are equal. D near 0: R is above H."""
    (rate, information), H = one_bit(1e-9), np.log(2)
    assert abs(rate) < 1e-12 and abs(information) < 1e-9 and round(2 * (H - information), 3) == 1.386
    for r, left, paid in ((2.693, 1e-2, 1.055), (5.81, 1e-8, 1.774)):
        rate, information = one_bit(r)
        assert rate > H and abs(rate - np.log1p(r**2) / 2) < 1e-12
        assert abs(rate - paid) < 2e-3 and 0.5 * left < H - information < left


def saying_collapse():
    """n = 64 pixels with one bit earn n I at the price n R, and I <= R: nothing is the best code; not so at 63."""
    codes = np.array([one_bit(r) for r in np.linspace(0, 3, 151)])  # r; R, I
    loss = {beta: 64 * (np.log(2) - codes[:, 1]) + beta * codes[:, 0] for beta in (63, 64)}
    assert loss[64].min() > 64 * np.log(2) - 1e-9
    best = loss[63].argmin()
    assert loss[63][best] < 64 * np.log(2) - 0.05 and abs(codes[best, 0] - 0.167) < 0.01
