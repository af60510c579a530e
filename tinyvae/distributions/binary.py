"""Independent bits: latents without a slope, which the encoder's output gives the log-odds of."""

import numpy as np

from tinyvae import validate
from tinyvae.distributions.contract import Distribution, require_fit
from tinyvae.distributions.discrete_prior import Bits
from tinyvae.distributions.logistic import sigmoid, softplus
from tinyvae.distributions.relaxed import RelaxedBits
from tinyvae.distributions.uniform import checked_uniform, gauss_legendre, open_uniform
from tinyvae.kernels import binary as kernels

__all__ = ["Binary"]

MOST_BITS = 12  # that are enumerated


class Binary(RelaxedBits, Distribution):
    """q(z) = prod_k p_k^z_k (1 - p_k)^(1 - z_k), z in {0, 1}^K, p = sigmoid(logits), one for each row of a batch.

    Its noise is uniform, and z_k = 1 where eps_k > 1 - p_k, that is where logits_k + log(eps_k / (1 - eps_k)) > 0: the
    Gumbel-max trick for two ways (the difference of two Gumbel variables is logistic).

    Parameters
    ----------
    logits : array (B, K)
        Log-odds, float32 or float64, finite.
    prior : Prior, optional
        What `kl` and `log_ratio` ask, fair bits unless a model says otherwise.

    Attributes
    ----------
    params, logits : array (B, K)
        As given.
    probs, mean : array (B, K)
        p, the probability of a 1.
    probs_of_0 : array (B, K)
        1 - p, without its cancellation.
    prior : Prior
        As given.
    name : str
        "binary".
    blocks : tuple of str
        ("logits",).

    Raises
    ------
    ValueError
        If the shape of logits does not fit, or a number is not finite; so for what the methods are given.
    TypeError
        If logits are neither float32 nor float64, what the methods are given is of another dtype, or the prior does not
        fit.
    """

    name, blocks, prior = "binary", ("logits",), Bits()

    def __init__(self, logits, prior=None):
        logits = validate.array("logits", logits, ("B", "K"))
        prior = self.prior if prior is None else require_fit(prior, Binary, logits.shape[1])
        vars(self).update(vars(self.from_params(logits, prior)))

    @classmethod
    def from_params(cls, params, prior=Bits()):
        """The bits of params = logits (B, K), unchecked and not copied."""
        q = cls.__new__(cls)
        q.params = q.logits = params
        q.probs = q.mean = sigmoid(params)
        q.probs_of_0 = sigmoid(-params)
        q.prior = prior
        return q

    # --- its shapes -------------------------------------------------------------------------------

    @staticmethod
    def n_params(n_latents):
        """How many numbers a data point's distribution over n_latents = K bits takes: K, int."""
        return n_latents

    @staticmethod
    def n_states(n_latents):
        """How many states n_latents = K bits have, 2^K, which `nodes` enumerates."""
        return 2**n_latents

    @staticmethod
    def noise_shape(n_points, n_latents):
        """The shape of a sample's eps: (n_points, n_latents) = (B, K)."""
        return n_points, n_latents

    @staticmethod
    def draw(rng, n_samples, n_points, n_latents, dtype, scheme):
        """Uniform noise: what a scheme gives, through the normal distribution function; never 0 or 1.

        Parameters
        ----------
        rng : numpy.random.Generator
        n_samples : int
            S.
        n_points : int
            B.
        n_latents : int
            K.
        dtype : NumPy dtype
            float32 or float64.
        scheme : function
            (rng, n_samples, n_points, n_latents, dtype) -> standard normal numbers, see `tv.noise`.

        Returns
        -------
        array (S, B, K)
        """
        return open_uniform(rng, n_samples, n_points, n_latents, dtype, scheme)

    def split(self, dparams):
        """dparams, laid out like params, (..., K) -> its named blocks, {"logits": (..., K)}."""
        return {"logits": dparams}

    @property
    def mode(self):
        """The most probable state, (B, K): 1 where p is above 1/2."""
        return (self.logits > 0).astype(self.dtype)

    # --- samples, densities, slopes ---------------------------------------------------------------

    def sample(self, eps):
        """z = 1 where eps > 1 - p, else 0. eps (S, B, K), in (0, 1) -> z (S, B, K)."""
        eps = checked_uniform(eps, ("S", *self.params.shape), self.dtype)
        return (eps > self.probs_of_0).astype(self.dtype)

    def log_prob(self, z):
        """log q(z) = sum_k [z_k logits_k - log(1 + exp(logits_k))], nats. z (S, B, K) -> (S, B)."""
        return (self.checked(z) * self.logits - softplus(self.logits)).sum(axis=2)

    def log_prob_grad(self, z):
        """The slope of `log_prob`, continued in a straight line between 0 and 1: logits. z (S, B, K) -> (S, B, K)."""
        return np.broadcast_to(self.logits, self.checked(z).shape)

    def score(self, z):
        """d log q(z) / dlogits = z - p. z (S, B, K) -> (S, B, K)."""
        return self.checked(z) - self.probs

    def entropy_by_latent(self):
        """log(1 + exp(logits)) - p logits, nats, (B, K): the entropy is their sum."""
        return softplus(self.logits) - self.probs * self.logits

    def by_params(self, kl_weights):
        """A weight for each latent's KL as one for each parameter: kl_weights, a number or (B, K) -> (B, K) float64."""
        return np.broadcast_to(np.asarray(kl_weights, "float64"), self.params.shape)

    # --- the noise behind a bit ---------------------------------------------------------------------

    def odds(self, eps):
        """logits + log(eps / (1 - eps)): a bit is 1 where it is above 0. eps (S, B, K) -> (S, B, K).

        Divided by a temperature, its sigmoid is a relaxed bit.
        """
        eps = checked_uniform(eps, ("S", *self.params.shape), self.dtype)
        odds = np.empty_like(eps)
        kernels.binary_odds(self.logits, eps, odds)
        return odds

    def noise_given(self, z, v):
        """Noise with `sample(noise) == z`: uniform in (0, 1 - p) where z = 0, and in (1 - p, 1) where z = 1.

            eps = (1 - z) v (1 - p) + z (1 - p + v p),   v uniform

        z, v (S, B, K) -> (S, B, K).
        """
        none = self.probs_of_0
        return np.where(z > 0.5, none + v * self.probs, v * none).astype(self.dtype)

    def augmented_score(self, eps):
        """2 eps - 1: E[f(sample(eps)) (2 eps - 1)] = d/dlogits E_q[f], a score of the noise. Both (S, B, K)."""
        return 2 * eps - 1

    def coupled(self, eps):
        """A second sample, of the mirrored noise 1 - eps, and weights that make up for how it hangs on the first.

        A weight is q(z_k) q(z'_k) / P(z_k, z'_k) where the two differ, max(p, 1 - p). eps (S, B, K) -> z', weights,
        both (S, B, K).
        """
        larger = np.maximum(self.probs, self.probs_of_0)
        return self.sample(1 - eps), np.broadcast_to(larger, eps.shape)

    # --- exact expectations, apart from all above ---------------------------------------------------

    def nodes(self, n_nodes=None):
        """All 2^K states and their probabilities: sum_n w_n f(z_n) = E_q[f(z)].

        Parameters
        ----------
        n_nodes : int, optional
            Not asked: enumeration is exact.

        Returns
        -------
        z : array (2^K, B, K)
        weights : array (2^K, B)

        Raises
        ------
        ValueError
            For more than 12 bits.
        """
        states = self._states()  # N, K
        z = np.repeat(states[:, None, :], len(self.params), axis=1)
        return z, self._weights(states)

    def exact_gradient(self, values, n_nodes=None, kl_weight=0.0):
        """d/dlogits of E_q[f] + kl_weight KL(q || p), by enumeration of f's values.

            dE/dlogits_k = p_k (1 - p_k) (E[f | z_k = 1] - E[f | z_k = 0])

        Parameters
        ----------
        values : array (2^K, B)
            f at `nodes()`, nats.
        n_nodes : int, optional
            Not asked.
        kl_weight : float, optional
            The KL's.

        Returns
        -------
        array (B, K)
        """
        states, gradient = self._states(), np.empty(self.params.shape)
        for k in range(states.shape[1]):
            others = np.delete(np.arange(states.shape[1]), k)
            weights = self._weights(states[:, others], others)  # N, B: each state of the others stands twice
            low, high = ((values * weights)[states[:, k] == end].sum(axis=0) for end in (0, 1))
            gradient[:, k] = self.probs[:, k] * (1 - self.probs[:, k]) * (high - low)
        return gradient + kl_weight * self.prior.kl_grad_exact(self)

    def noise_nodes(self, n_nodes, n_samples):
        """Gauss-Legendre quadrature over the uniform noise of S samples, between the places where a bit flips.

        Each bit's (0, 1) is cut where eps or 1 - eps passes 1 - p of a row. With n_nodes in each piece it is exact for
        polynomials of degree up to 2 n_nodes - 1 there: with one, for what sees eps by its sample alone.

        Parameters
        ----------
        n_nodes : int
            In each piece.
        n_samples : int
            S.

        Returns
        -------
        eps : array (S, N, K)
        weights : array (N,)

        Raises
        ------
        ValueError
            Where the grid would exceed 10 million numbers.
        """
        return gauss_legendre([np.concatenate([p, 1 - p]) for p in self.probs.T], n_nodes, n_samples)

    def _states(self):
        n = self.params.shape[1]
        if n > MOST_BITS:
            raise ValueError(f"enumeration is for at most {MOST_BITS} bits, got {n}: 2^{n} states")
        return (np.arange(2**n)[:, None] >> np.arange(n - 1, -1, -1) & 1).astype(self.dtype)  # N, K

    def _weights(self, states, latents=slice(None)):
        """The probabilities of states (N, k) of some latents, (N, B)."""
        p = self.probs[:, latents]
        return np.where(states[:, None, :] > 0.5, p, 1 - p).prod(axis=2)
