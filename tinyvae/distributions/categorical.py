"""One-hot groups: each latent takes one of W ways, which the encoder's output gives the logits of."""

from dataclasses import dataclass

import numpy as np
import scipy

from tinyvae import validate
from tinyvae.distributions.contract import Distribution, require_fit
from tinyvae.distributions.coupling import mirrored_sticks
from tinyvae.distributions.discrete_prior import Categories, one_hot
from tinyvae.distributions.relaxed import RelaxedGroups
from tinyvae.distributions.uniform import checked_uniform, open_uniform

__all__ = ["Categorical", "OneHot", "CATEGORICAL"]

MOST_STATES = 4096  # that are enumerated, as many as 12 bits have


class Categorical(RelaxedGroups, Distribution):
    """q(z) = prod_k softmax(logits_k) of z's group k; z is one-hot in each of K groups of W ways.

    Its noise is uniform, W numbers a group, and the way taken is the one with the largest logit + Gumbel noise,
    -log(-log(eps)): the Gumbel-max trick.

    Parameters
    ----------
    logits : array (B, K W)
        Group after group, float32 or float64, finite; log-probabilities up to a constant of each group.
    n_ways : int
        W, at least 2.
    prior : Prior, optional
        What `kl` and `log_ratio` ask; all ways alike if not given.

    Attributes
    ----------
    params : array (B, K W)
        The logits.
    logits, log_probs, grouped_probs : array (B, K, W)
        The logits, log softmax and softmax of them, by group.
    probs, mean : array (B, K W)
        The probability of each way, laid out like params.
    n_ways : int
        W.
    prior : Prior
        As given.
    name : str
        "categorical".
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

    name, blocks = "categorical", ("logits",)

    def __init__(self, logits, n_ways, prior=None):
        n_ways = validate.integer("n_ways", n_ways, least=2)
        logits = validate.array("logits", logits, ("B", "K * n_ways"))
        if logits.shape[1] % n_ways:
            raise ValueError(f"logits must have groups of n_ways = {n_ways} columns, got {logits.shape[1]} columns")
        ways = OneHot(n_ways)
        prior = ways.prior if prior is None else require_fit(prior, ways, logits.shape[1] // n_ways)
        vars(self).update(vars(self.from_params(logits, prior)))

    @classmethod
    def from_params(cls, params, prior):
        """The distribution of params = logits (B, K W), unchecked and not copied; the prior knows W."""
        q = cls.__new__(cls)
        q.params, q.prior, q.n_ways = params, prior, prior.n_ways
        q.logits = params.reshape(len(params), -1, q.n_ways)
        q.log_probs = scipy.special.log_softmax(q.logits, axis=2).astype(params.dtype, copy=False)
        q.grouped_probs = np.exp(q.log_probs)
        q.probs = q.mean = q.grouped_probs.reshape(params.shape)
        return q

    def noise_shape(self, n_points, n_numbers):
        """The shape of a sample's eps, n_numbers = K W for each point: (B, K W)."""
        return n_points, n_numbers

    def draw(self, rng, n_samples, n_points, n_numbers, dtype, scheme):
        """Uniform noise, never 0 or 1, n_numbers = K W for each point.

        Parameters
        ----------
        rng : numpy.random.Generator
        n_samples : int
            S.
        n_points : int
            B.
        n_numbers : int
            K W.
        dtype : NumPy dtype
            float32 or float64.
        scheme : function
            See `tv.noise`.

        Returns
        -------
        array (S, B, K W)
        """
        return open_uniform(rng, n_samples, n_points, n_numbers, dtype, scheme)

    def split(self, dparams):
        """dparams, laid out like params, (..., K W) -> its named blocks, {"logits": (..., K W)}."""
        return {"logits": dparams}

    def grouped(self, numbers):
        """(..., K W) -> (..., K, W), a view."""
        return numbers.reshape(*numbers.shape[:-1], -1, self.n_ways)

    @property
    def mode(self):
        """The most probable state, (B, K W): the first of ways that are equally probable."""
        return one_hot(self.logits.argmax(axis=2), self.n_ways, self.dtype).reshape(self.params.shape)

    # --- samples, densities, slopes ---------------------------------------------------------------

    def sample(self, eps):
        """A 1 at the largest logit + Gumbel noise of each group. eps (S, B, K W), in (0, 1) -> z (S, B, K W)."""
        eps = checked_uniform(eps, ("S", *self.params.shape), self.dtype)
        best = self.grouped(self.odds(eps)).argmax(axis=3)  # S, B, K
        return one_hot(best, self.n_ways, self.dtype).reshape(eps.shape)

    def log_prob(self, z):
        """log q(z) = sum_kw z_kw log p_kw, nats. z (S, B, K W) -> (S, B)."""
        return (self.grouped(self.checked(z)) * self.log_probs).sum(axis=(2, 3))

    def log_prob_grad(self, z):
        """The slope in z of the sum in `log_prob`, log p. z (S, B, K W) -> (S, B, K W)."""
        z = self.checked(z)
        return np.broadcast_to(self.log_probs.reshape(self.params.shape), z.shape)

    def score(self, z):
        """d log q(z) / dlogits = z - p. z (S, B, K W) -> (S, B, K W)."""
        return self.checked(z) - self.probs

    def entropy_by_latent(self):
        """-sum_w p_w log p_w, nats, (B, K): the entropy is their sum."""
        return -(self.grouped_probs * self.log_probs).sum(axis=2)

    def by_params(self, kl_weights):
        """A weight for each group's KL as one for each logit: kl_weights, a number or (B, K) -> (B, K W) float64."""
        weights = np.broadcast_to(np.asarray(kl_weights, "float64"), self.logits.shape[:2])
        return np.repeat(weights, self.n_ways, axis=1)

    # --- the noise behind a choice ------------------------------------------------------------------

    def odds(self, eps):
        """logits + Gumbel noise, -log(-log(eps)). eps (S, B, K W) -> (S, B, K W).

        Divided by a temperature, their softmax in each group is a relaxed choice.
        """
        return self.params - np.log(-np.log(eps))

    def noise_given(self, z, v):
        """Noise with `sample(noise) == z`, made from uniform v: Gumbel noise whose largest sum is where z is 1.

            the largest of logits + g:    M = log sum_w exp(logits_w) - log(-log(v_z))
            the others, logits + g:       -log(exp(-M) - log(v_w) exp(-logits_w))

        z, v (S, B, K W) -> (S, B, K W). Source: Tucker et al. 2017, appendix C; Maddison, Tarlow & Minka 2014.
        """
        taken, v = self.grouped(z) > 0.5, self.grouped(v).astype("float64")
        # In terms of E = exp(-g) = -log(eps), exponential noise: the least of E exp(-logits) is taken.
        first = np.where(taken, -np.log(v), 0.0).sum(axis=3, keepdims=True)  # S, B, K, 1
        e = np.where(taken, first * self.grouped_probs, first * self.grouped_probs - np.log(v))
        eps = np.exp(-e).reshape(z.shape).astype(self.dtype)
        return np.clip(eps, np.finfo(self.dtype).tiny, 1 - np.finfo(self.dtype).epsneg)

    def coupled(self, eps):
        """A second sample, by sticks broken with mirrored noise, and weights for how it hangs on the first.

        A weight is q(z_k) q(z'_k) / P(z_k, z'_k) where the two differ; see `coupling`. eps (S, B, K W) -> z', weights,
        both (S, B, K W). The largest logit + Gumbel noise does not tell which way it is of, and so chooses the second.
        """
        highest = (self.log_probs - np.log(-np.log(self.grouped(eps)))).max(axis=3)  # S, B, K: Gumbel noise
        way = self.grouped(self.sample(eps)).argmax(axis=3)  # S, B, K
        other, weights = mirrored_sticks(self.grouped_probs, way, np.exp(-np.exp(-highest)))  # S, B, K each
        z = one_hot(other, self.n_ways, self.dtype).reshape(eps.shape)
        return z, np.repeat(weights.astype(self.dtype), self.n_ways, axis=2)

    # --- exact expectations, apart from all above ---------------------------------------------------

    def nodes(self, n_nodes=None):
        """All W^K states and their probabilities: sum_n w_n f(z_n) = E_q[f(z)].

        Parameters
        ----------
        n_nodes : int, optional
            Not asked: enumeration is exact.

        Returns
        -------
        z : array (W^K, B, K W)
        weights : array (W^K, B)

        Raises
        ------
        ValueError
            For more than 4,096 states.
        """
        ways = self._states()  # N, K
        z = np.repeat(one_hot(ways, self.n_ways, self.dtype).reshape(len(ways), 1, -1), len(self.params), axis=1)
        return z, self._weights(ways)

    def exact_gradient(self, values, n_nodes=None, kl_weight=0.0):
        """d/dlogits of E_q[f] + kl_weight KL(q || p), by enumeration of f's values.

            dE/dlogits_kw = p_kw (E[f | z_k = w] - E[f])

        Parameters
        ----------
        values : array (W^K, B)
            f at `nodes()`, nats.
        n_nodes : int, optional
            Not asked.
        kl_weight : float, optional
            The KL's.

        Returns
        -------
        array (B, K W)
        """
        ways, gradient = self._states(), np.empty(self.logits.shape)
        mean = (values * self._weights(ways)).sum(axis=0)  # B
        for k in range(ways.shape[1]):
            others = np.delete(np.arange(ways.shape[1]), k)
            weights = self._weights(ways[:, others], others)  # N, B
            for w in range(self.n_ways):
                given = (values * weights)[ways[:, k] == w].sum(axis=0)  # B
                gradient[:, k, w] = self.grouped_probs[:, k, w] * (given - mean)
        return gradient.reshape(self.params.shape) + kl_weight * self.prior.kl_grad_exact(self)

    def _states(self):
        n, ways = self.logits.shape[1], self.n_ways
        if ways**n > MOST_STATES:
            raise ValueError(f"enumeration is for at most {MOST_STATES} states, got {ways}^{n}")
        return np.stack(np.unravel_index(np.arange(ways**n), (ways,) * n), axis=1)  # N, K

    def _weights(self, ways, groups=None):
        """The probabilities of states (N, k) of some groups, (N, B)."""
        groups = np.arange(ways.shape[1]) if groups is None else groups
        return (
            self.grouped_probs[:, groups, ways].prod(axis=2).T
            if len(groups)
            else np.ones((len(ways), len(self.params)))
        )


@dataclass(frozen=True)
class OneHot:
    """What a model of categorical latents takes for `latents`: K groups of n_ways ways each.

    Attributes
    ----------
    n_ways : int
        W, at least 2.
    """

    n_ways: int = 10

    def __post_init__(self):
        validate.integer("n_ways", self.n_ways, least=2)

    name, blocks = Categorical.name, Categorical.blocks

    @property
    def prior(self):
        """The prior that a model takes unless told otherwise: all ways alike."""
        return Categories(self.n_ways)

    def n_params(self, n_latents):
        """How many numbers a data point's distribution over n_latents = K groups takes: K W, int."""
        return n_latents * self.n_ways

    code_size = n_params

    def n_states(self, n_latents):
        """How many states n_latents = K groups have, W^K, which `nodes` enumerates."""
        return self.n_ways**n_latents

    @property
    def config(self):
        """What a file keeps: {"name": "categorical", "n_ways": W}."""
        return {"name": self.name, "n_ways": self.n_ways}

    def noise_shape(self, n_points, n_latents):
        """The shape of a sample's eps: (B, K W)."""
        return n_points, n_latents * self.n_ways

    def draw(self, rng, n_samples, n_points, n_latents, dtype, scheme):
        """Uniform noise for K groups, never 0 or 1.

        Parameters
        ----------
        rng : numpy.random.Generator
        n_samples, n_points, n_latents : int
            S, B, K.
        dtype : NumPy dtype
            float32 or float64.
        scheme : function
            See `tv.noise`.

        Returns
        -------
        array (S, B, K W)
        """
        return open_uniform(rng, n_samples, n_points, n_latents * self.n_ways, dtype, scheme)

    def from_params(self, params, prior):
        """The Categorical of params = logits (B, K W), unchecked and not copied."""
        return Categorical.from_params(params, prior)


CATEGORICAL = OneHot()
