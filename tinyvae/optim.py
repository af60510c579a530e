"""First-order optimisers on a flat parameter vector: parameters, a gradient, state."""

import numpy as np

from tinyvae import validate
from tinyvae.kernels import optimizers as kernels


class SGD:
    """Gradient descent: velocity <- momentum velocity + g; theta <- theta - rate velocity (Polyak 1964)."""

    def __init__(self, rate=1e-2, momentum=0.0):
        self.rate = validate.number("rate", rate, least=0)
        self.momentum = validate.number("momentum", momentum, least=0, most=1)
        self.velocity = None

    def step(self, theta, grad):
        """Update theta (P,) in place, along grad (P,)."""
        if self.velocity is None:
            self.velocity = np.zeros_like(theta)
        kernels.sgd(theta, grad, self.velocity, self.rate, self.momentum)


class Adam:
    """Adam: a step of size `rate` along the running mean over the running root mean square (Kingma & Ba 2015, algorithm 1).

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
    theta <- theta - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
    """

    def __init__(self, rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.rate = validate.number("rate", rate, least=0)
        self.beta1 = validate.number("beta1", beta1, least=0, most=np.nextafter(1, 0))
        self.beta2 = validate.number("beta2", beta2, least=0, most=np.nextafter(1, 0))
        self.epsilon = validate.number("epsilon", epsilon, least=0, open_least=True)
        self.t, self.m, self.v = 0, None, None

    def step(self, theta, grad):
        """Update theta (P,) in place, along grad (P,)."""
        if self.m is None:
            self.m, self.v = np.zeros_like(theta), np.zeros_like(theta)
        self.t += 1
        rate = self.rate / (1 - self.beta1**self.t)
        correction = 1 / np.sqrt(1 - self.beta2**self.t)
        kernels.adam(theta, grad, self.m, self.v, rate, self.beta1, self.beta2, correction, self.epsilon)
