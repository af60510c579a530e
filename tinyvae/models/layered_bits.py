"""Two layers of bits as one distribution: sampled, and weighed against the model's own, for bounds and likelihoods."""

import numpy as np

from tinyvae import validate
from tinyvae.distributions import Binary
from tinyvae.distributions.uniform import open_uniform
from tinyvae.noise import independent

__all__ = ["LayeredBits"]


class LayeredBits:
    """q(z1, z2 | x) = q(z1 | x) q(z2 | z1) for each row of a batch, against p(z1, z2) = p(z1 | z2) p(z2).

    z is [z1, z2], (S, B, K1 + K2), the lower layer first.

    Parameters
    ----------
    params : array (B, K1)
        Log-odds of the lower layer.
    upper_encoder, upper_decoder : MLP
        From z1 to the log-odds of q(z2 | z1), and from z2 to those of p(z1 | z2).
    prior : Prior
        p(z2).

    Attributes
    ----------
    params, prior
        As given.
    lower : Binary
        q(z1 | x), its prior fair bits.
    """

    def __init__(self, params, upper_encoder, upper_decoder, prior):
        self.params, self.prior, self.lower = params, prior, Binary.from_params(params)
        self._networks = upper_encoder, upper_decoder

    def like(self, params):
        """The same of other params (B, K1), unchecked and not copied."""
        return LayeredBits(params, *self._networks, self.prior)

    def upper(self, z1):
        """q(z2 | z1), a Binary. z1 (n, K1) -> one for each of n rows."""
        return Binary.from_params(self._asked(0, z1), self.prior)

    def lower_given(self, z2):
        """p(z1 | z2), a Binary. z2 (n, K2) -> one for each of n rows."""
        return Binary.from_params(self._asked(1, z2))

    def noise(self, rng, n_samples=1, scheme=None):
        """eps, uniform, (S, B, K1 + K2), from a numpy Generator: independent, or by a noise scheme, see `tv.noise`."""
        validate.generator("rng", rng)
        n_samples = validate.integer("n_samples", n_samples, least=1)
        n_bits = sum(network.sizes[-1] for network in self._networks)
        return open_uniform(rng, n_samples, len(self.params), n_bits, self.params.dtype, scheme or independent)

    def sample(self, eps):
        """z = [z1, z2]. eps (S, B, K1 + K2), in (0, 1) -> z (S, B, K1 + K2)."""
        z1 = self.lower.sample(np.ascontiguousarray(eps[..., : self.params.shape[1]]))
        rows = np.ascontiguousarray(eps[..., z1.shape[2] :]).reshape(1, z1.shape[0] * z1.shape[1], -1)
        z2 = self.upper(z1.reshape(-1, z1.shape[2])).sample(rows)
        return np.concatenate([z1, z2.reshape(*z1.shape[:2], -1)], axis=2)

    def log_ratio(self, z):
        """log q(z1, z2) - log p(z1, z2), nats. z (S, B, K1 + K2) -> (S, B)."""
        rows, z1, z2 = self._rows(z)
        upper = self.upper(z1[0]).log_ratio(z2) - self.lower_given(z2[0]).log_prob(z1)  # 1, S * B
        return self.lower.log_prob(rows) + upper.reshape(z.shape[:2])

    def kl(self):
        """KL(q(z1 | x) || fair bits), nats, (B,): the part of KL(q || p) that can be known without a sample."""
        return self.lower.kl()

    def further_kl(self, z):
        """The rest of it at a sample: its mean over z1 and z2 is KL(q || p) - `kl()`. z (S, B, K1 + K2) -> (S, B).

        log [fair(z1) / p(z1 | z2)] + KL(q(z2 | z1) || p(z2))
        """
        rows, z1, z2 = self._rows(z)
        fair = self.lower.prior.log_prob(rows)  # S, B
        upper = self.upper(z1[0]).kl() - self.lower_given(z2[0]).log_prob(z1)[0]  # S * B
        return fair + upper.reshape(z.shape[:2])

    def _rows(self, z):
        """z1 (S, B, K1), and z1 and z2 as samples of S * B rows, (1, S * B, K)."""
        z1, z2 = (np.ascontiguousarray(one) for one in np.split(z, [self.params.shape[1]], axis=2))
        return z1, z1.reshape(1, -1, z1.shape[2]), z2.reshape(1, -1, z2.shape[2])

    def _asked(self, which, z):
        network = self._networks[which]
        logits, _ = network.propagate(validate.array("z", z, ("n", network.sizes[0]), network.dtype))
        return logits
