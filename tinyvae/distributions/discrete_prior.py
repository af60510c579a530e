"""Priors of discrete latents: bits and one-hot groups, whose logits are uniform, fixed otherwise, or learnt."""

import numpy as np
import scipy

from tinyvae import validate
from tinyvae.distributions.logistic import softplus
from tinyvae.distributions.prior import Prior
from tinyvae.kernels import binary as kernels

__all__ = ["Bits", "LearntBits", "Categories", "LearntCategories"]


class Bits(Prior):
    """p(z) = prod_k sigmoid(logits_k)^z_k sigmoid(-logits_k)^(1 - z_k), z in {0, 1}: fair bits unless told otherwise.

    Parameters
    ----------
    logits : number or array (K,), optional
        Log-odds.

    Raises
    ------
    ValueError or TypeError
        If they are not finite numbers.
    """

    name = "bits"

    def __init__(self, logits=0.0):
        if np.ndim(logits):
            logits = validate.array("logits", np.asarray(logits, "float64"), ("K",))
            self.name = "bits of one's own"
        elif logits := validate.number("logits", logits):
            self.name = f"bits of log-odds {logits:g}"
        self.logits = logits

    def __repr__(self):
        return f"{type(self).__name__}({self.logits!r})" if np.any(self.logits) else f"{type(self).__name__}()"

    def sample(self, rng, n, n_latents, dtype):
        """n draws of z.

        Parameters
        ----------
        rng : numpy.random.Generator
        n : int
        n_latents : int
            K.
        dtype : {"float32", "float64"} or NumPy dtype

        Returns
        -------
        array (n, K)
        """
        return (rng.random((n, n_latents)) < scipy.special.expit(self.logits)).astype(dtype)

    def quantile(self, u):
        """1 where u > sigmoid(-logits), else 0: u (n, K) in (0, 1) -> z (n, K)."""
        return (u > scipy.special.expit(-np.asarray(self.logits))).astype(float)

    def log_prob(self, z):
        """log p(z) = sum_k [z_k logits_k - log(1 + exp(logits_k))], nats. z (S, B, K) -> (S, B)."""
        own = np.asarray(self.logits)
        own = own.astype(np.promote_types(own.dtype, z.dtype), copy=False)  # K: learnt in float32, of z in float64
        return (z * own - np.logaddexp(0, own)).sum(axis=2).astype(z.dtype, copy=False)

    def log_prob_grad(self, z):
        """Its slope, continued in a straight line between 0 and 1: logits. z (S, B, K) -> (S, B, K)."""
        return np.broadcast_to(np.asarray(self.logits, z.dtype), z.shape)

    def kl_by_latent(self, q):
        """p (logits - own) - log(1 + exp(logits)) + log(1 + exp(own)), nats, (B, K)."""
        own = np.asarray(self.logits, q.dtype)
        return q.probs * (q.logits - own) - softplus(q.logits) + softplus(own)

    def kl_grad(self, q):
        """dKL(q || p)/dlogits = p (1 - p) (logits - own), (B, K)."""
        return q.probs * q.probs_of_0 * (q.logits - np.asarray(self.logits, q.dtype))

    def batch_gradient(self, q, dparams, shares):
        """The same as `Prior.batch_gradient`, in one loop. dparams (S, B, K), shares (B, K) float64 -> (B, K)."""
        out, own = np.empty_like(q.params), np.empty(q.params.shape[1:], q.dtype)
        own[:] = self.logits
        kernels.binary_batch_gradient(dparams, q.params, q.probs, q.probs_of_0, own, shares, out)
        return out


class LearntBits(Bits):
    """The same with log-odds that are learnt, one for each bit, from 0.

    Parameters
    ----------
    logits : array (K,), optional
        Of the present, a view into a model's theta; 0 where not given.
    """

    name = "learnt_bits"

    def __init__(self, logits=0.0):
        self.logits = logits

    def parameters(self, n_latents):
        """What it learns, as it starts: {"logits": zeros (K,)}."""
        return {"logits": np.zeros(n_latents)}

    def bound(self, logits):
        """The prior of these log-odds (K,), not copied."""
        return LearntBits(logits)

    def kl_gradients(self, q, shares):
        """d/dlogits of sum_bk shares_bk KL_bk: shares (B, K) -> {"logits": (K,)}."""
        return {"logits": (shares * (scipy.special.expit(self.logits) - q.probs)).sum(axis=0)}

    def log_prob_gradients(self, z, weights):
        """d/dlogits of sum_sb weights_sb log p(z_sb): z (S, B, K), weights (S, B) -> {"logits": (K,)}."""
        return {"logits": np.einsum("sb,sbk->k", weights, z - scipy.special.expit(self.logits))}


class Categories(Prior):
    """p(z) = prod_k softmax(logits_k) of z's one-hot group k: each of the W ways alike unless told otherwise.

    Parameters
    ----------
    n_ways : int
        W.
    logits : array (K, W), optional
        Each group's; 0 where not given.

    Raises
    ------
    ValueError or TypeError
        If they do not fit.
    """

    name = "categories"

    @classmethod
    def of(cls, family):
        """The prior of this kind for as many ways as the family has, all alike at the start."""
        return cls(getattr(family, "n_ways", 10))

    def __init__(self, n_ways=10, logits=None):
        self.n_ways = validate.integer("n_ways", n_ways, least=2)
        self.logits = np.zeros((1, self.n_ways))
        if logits is not None:
            self.logits = validate.array("logits", np.asarray(logits, "float64"), ("K", self.n_ways))
            self.name = "categories of one's own"

    def __repr__(self):
        return f"{type(self).__name__}({self.n_ways})"

    def sample(self, rng, n, n_latents, dtype):
        """n draws of z, one-hot groups, by the Gumbel-max trick.

        Parameters
        ----------
        rng : numpy.random.Generator
        n : int
        n_latents : int
            K.
        dtype : {"float32", "float64"} or NumPy dtype

        Returns
        -------
        array (n, K W)
        """
        best = (self.logits + rng.gumbel(size=(n, n_latents, self.n_ways))).argmax(axis=2)
        return one_hot(best, self.n_ways, dtype).reshape(n, -1)

    def log_prob(self, z):
        """log p(z) = sum_kw z_kw log softmax(logits_k)_w, nats. z (S, B, K W) -> (S, B)."""
        return (self._grouped(z) * self._log_probs()).sum(axis=(2, 3)).astype(z.dtype, copy=False)

    def log_prob_grad(self, z):
        """Its slope, of the sum that it is at any z: log softmax(logits). z (S, B, K W) -> (S, B, K W)."""
        grouped = self._grouped(z)
        return np.broadcast_to(self._log_probs().astype(z.dtype), grouped.shape).reshape(z.shape)

    def kl_by_latent(self, q):
        """sum_w p_w (log p_w - log own_w) of each group, nats, (B, K)."""
        return (q.grouped_probs * (q.log_probs - self._log_probs())).sum(axis=2).astype(q.dtype, copy=False)

    def kl_grad(self, q):
        """dKL(q || p)/dlogits_w = p_w [log p_w - log own_w - KL], (B, K W)."""
        off = q.log_probs - self._log_probs()  # B, K, W
        slope = q.grouped_probs * (off - (q.grouped_probs * off).sum(axis=2, keepdims=True))
        return slope.reshape(q.params.shape).astype(q.dtype, copy=False)

    def _log_probs(self):
        return scipy.special.log_softmax(self.logits, axis=-1)  # K or 1, W

    def _grouped(self, z):
        return z.reshape(*z.shape[:2], -1, self.n_ways)


class LearntCategories(Categories):
    """The same with logits that are learnt, W for each group, from 0.

    Parameters
    ----------
    n_ways : int
        W.
    logits : array (K, W), optional
        Of the present, a view into a model's theta; 0 where not given.
    """

    name = "learnt_categories"

    def __init__(self, n_ways=10, logits=None):
        super().__init__(n_ways)
        self.logits = self.logits if logits is None else logits

    def parameters(self, n_latents):
        """What it learns, as it starts: {"logits": zeros (K, W)}."""
        return {"logits": np.zeros((n_latents, self.n_ways))}

    def bound(self, logits):
        """The prior of these logits (K, W), not copied."""
        return LearntCategories(self.n_ways, logits)

    def kl_gradients(self, q, shares):
        """d/dlogits of sum_bk shares_bk KL_bk: shares (B, K) -> {"logits": (K, W)}."""
        own = scipy.special.softmax(self.logits, axis=-1)
        return {"logits": (shares[..., None] * (own - q.grouped_probs)).sum(axis=0)}

    def log_prob_gradients(self, z, weights):
        """d/dlogits of sum_sb weights_sb log p(z_sb): z (S, B, K W), weights (S, B) -> {"logits": (K, W)}."""
        own = scipy.special.softmax(self.logits, axis=-1)
        return {"logits": np.einsum("sb,sbkw->kw", weights, self._grouped(z) - own)}


def one_hot(which, n_ways, dtype):
    """Groups with a 1 at `which`: (...) of integers -> (..., W).

    Parameters
    ----------
    which : array of int
    n_ways : int
        W.
    dtype : NumPy dtype

    Returns
    -------
    array (..., W)
    """
    return (which[..., None] == np.arange(n_ways)).astype(dtype)
