"""One fused pass over the flat parameter vector for each optimiser's step.

Each compiled loop stands directly below its NumPy twin. All arrays are (P,); `theta` and the
optimiser's state are updated in place.
"""

import numpy as np

from tinyvae.kernels.compile import loop

__all__ = ["sgd_numpy", "sgd", "adam_numpy", "adam"]


def sgd_numpy(theta, grad, velocity, rate, momentum):
    """velocity <- momentum velocity + grad; theta <- theta - rate velocity. theta, grad, velocity (P,)."""
    velocity *= momentum
    velocity += grad
    theta -= rate * velocity


@loop(sgd_numpy)
def sgd(theta, grad, velocity, rate, momentum):
    rate_, momentum_ = theta.dtype.type(rate), theta.dtype.type(momentum)
    for i in range(theta.size):
        velocity[i] = momentum_ * velocity[i] + grad[i]
        theta[i] -= rate_ * velocity[i]


def adam_numpy(theta, grad, m, v, rate, beta1, beta2, correction, epsilon):
    """m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2; theta <- theta - rate m / (sqrt(v) correction + epsilon).

    theta, grad = g, m and v are (P,). The caller folds the two bias corrections into `rate` = alpha / (1 - b1^t) and
    `correction` = 1 / sqrt(1 - b2^t).
    """
    m += (1 - beta1) * (grad - m)
    v += (1 - beta2) * (grad * grad - v)
    theta -= rate * m / (np.sqrt(v) * correction + epsilon)


@loop(adam_numpy)
def adam(theta, grad, m, v, rate, beta1, beta2, correction, epsilon):
    real = theta.dtype.type
    rate_, keep1, keep2 = real(rate), real(1 - beta1), real(1 - beta2)
    correction_, epsilon_ = real(correction), real(epsilon)
    for i in range(theta.size):
        m[i] += keep1 * (grad[i] - m[i])
        v[i] += keep2 * (grad[i] * grad[i] - v[i])
        theta[i] -= rate_ * m[i] / (np.sqrt(v[i]) * correction_ + epsilon_)
