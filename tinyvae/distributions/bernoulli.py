"""The Bernoulli likelihood, computed from logits."""

import numpy as np

from tinyvae import validate
from tinyvae.kernels import dense


class Bernoulli:
    """p(x) = prod_d m_d^x_d (1 - m_d)^(1 - x_d), with mean m = sigmoid(logits). logits (n, D).

    For x strictly between 0 and 1 the same formula is the cross-entropy that the literature reports
    for grey levels; it is no density (Loaiza-Ganem & Cunningham 2019).

    A likelihood is such a class: `mean`, `log_prob`, and the two functions that training needs,
    `check` (is x in the support?) and `loss_and_slope`.
    """

    check = staticmethod(validate.data)  # check(name, x, n_features): x itself, or an error
    loss = staticmethod(dense.bernoulli_loss)
    loss_and_slope = staticmethod(dense.bernoulli_loss_and_slope)

    def __init__(self, logits):
        self.logits = validate.array("logits", logits, ("n", "D"))

    @property
    def mean(self):
        """sigmoid(logits), (n, D), computed so that no logit overflows."""
        mean = self.logits.copy()
        dense.bias_sigmoid(mean, np.zeros(mean.shape[1], mean.dtype))
        return mean

    def log_prob(self, x):
        """log p(x) = sum_d [x_d l_d - log(1 + exp l_d)], nats. x (n, D) in [0, 1] -> (n,).

        Exact for logits of any size. Raises ValueError for x outside [0, 1].
        """
        x = self.check("x", x, self.logits.shape[1]).astype(self.logits.dtype)
        validate.check_shape("x", x, self.logits.shape)
        loss = np.empty(len(x), self.logits.dtype)
        self.loss(self.logits, x, loss)
        return -loss
