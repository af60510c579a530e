"""What lecture notes say of codebooks: the numbers of lesson 17's rows."""

import numpy as np

import tinyvae as tv
from tinyvae.models.quantization import nearest


def saying_21():
    """Two words, x logistic, f(e) = e^3 - 2e: the mean loss falls where straight-through says that it rises."""
    words, n = np.array([[-1.0], [1.0]]), 10**5
    u = (np.arange(n) + 0.5) / n
    x = np.log(u / (1 - u))[:, None]

    def mean(f, a):
        return f(words[nearest(x + a, words), 0]).mean()

    def f(e):
        return e**3 - 2 * e

    assert abs((mean(f, 0.6) - mean(f, 0.4)) / 0.2 + 0.470) < 1e-3
    assert mean(lambda e: 3 * e**2 - 2, 0.5) == 1
    model = tv.VQVAE(6, 2, 3, 2, (5,), dtype="float64", commitment=0.0)
    model.codebook[:] = np.random.default_rng(0).standard_normal((3, 2))
    images = np.random.default_rng(1).random((4, 6))
    loss, grads = model.loss_and_grads(images)
    weight = model.views(model.theta)["encoder.W0"]
    weight += 1e-7
    assert model.loss_and_grads(images)[0] == loss and model.views(grads)["encoder.W0"].any()


def saying_22():
    """The KL of one code out of 16^8, all alike."""
    cost = -tv.models.PositionPrior(8, 16).log_prob(np.zeros((1, 8), int))[0]
    assert abs(cost - 22.18) < 5e-3 and abs(cost / np.log(2) - 32) < 1e-9
