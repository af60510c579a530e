"""Priors p(z): what a model draws latents from, and what q's `kl` and `log_ratio` ask."""

import numpy as np
import scipy.special

from tinyvae.kernels import gaussian as kernels

__all__ = ["Prior", "StandardNormal", "check_prior"]


class Prior:
    """What a prior answers about a distribution q over the latents; the rest follows from five methods of a subclass.

        sample(rng, n, n_latents, dtype)    n draws of z, (n, K)
        log_prob(z)                         log p(z), nats. z (S, B, K) -> (S, B)
        log_prob_grad(z)                    its slope. z (S, B, K) -> (S, B, K)
        kl_by_latent(q)                     each latent's part of KL(q || p), nats, (B, K)
        kl_grad(q)                          dKL(q || p)/dparams, (B, P)

    Attributes
    ----------
    name : str
        How it is called.
    """

    name = "a prior of one's own"

    def log_ratio(self, q, z):
        """log q(z) - log p(z), nats. z (S, B, K) -> (S, B)."""
        return q.log_prob(z) - self.log_prob(z)

    def log_ratio_grad(self, q, z):
        """d/dz [log q(z) - log p(z)], parameters held. z (S, B, K) -> (S, B, K)."""
        return q.log_prob_grad(z) - self.log_prob_grad(z)

    def kl(self, q):
        """KL(q || p), nats, (B,), for each row of q."""
        return self.kl_by_latent(q).sum(axis=1)

    def kl_grad_exact(self, q):
        """dKL/dparams, (B, P), in NumPy alone: the truth that estimators are held against."""
        return self.kl_grad(q)

    def batch_gradient(self, q, dparams, shares):
        """A batch's mean of dparams, and its share of the KL's slope: mean_s dparams / B + shares dKL/dparams.

        Parameters
        ----------
        q : DiagonalGaussian or another distribution
            One for each of B data points.
        dparams : array (S, B, P)
            An estimator's.
        shares : array (B, P)
            The weight of each KL's slope, float64.

        Returns
        -------
        array (B, P)
            In dparams' dtype.
        """
        summed = dparams.sum(axis=0) / (dparams.shape[0] * dparams.shape[1]) + shares * self.kl_grad(q)
        return summed.astype(dparams.dtype, copy=False)


class StandardNormal(Prior):
    """p(z) = N(0, I), and what it makes of a diagonal Gaussian, in closed form and in compiled loops.

    Attributes
    ----------
    name : str
        "standard_normal".
    """

    name = "standard_normal"

    def __repr__(self):
        return "StandardNormal()"

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
        return rng.standard_normal((n, n_latents), dtype=dtype)

    def quantile(self, u):
        """Where each latent's distribution function is u: u (n, K) in (0, 1) -> z (n, K)."""
        return scipy.special.ndtri(u)

    def log_prob(self, z):
        """log p(z) = -1/2 sum_k [z_k^2 + log 2 pi], nats. z (S, B, K) -> (S, B)."""
        return -0.5 * (z * z + kernels.LOG_2PI).sum(axis=2)

    def log_prob_grad(self, z):
        """d log p(z) / dz = -z. z (S, B, K) -> (S, B, K)."""
        return -z

    def log_ratio(self, q, z):
        """log q(z) - log p(z), nats, the two log 2 pi left out. z (S, B, K) -> (S, B)."""
        out = np.empty(z.shape[:2], q.dtype)
        kernels.gaussian_log_ratio(q.params, q.std, z, out)
        return out

    def log_ratio_grad(self, q, z):
        """d/dz [log q(z) - log p(z)] = z - (z - mu) / std^2, parameters held. z (S, B, K) -> (S, B, K)."""
        return z - (z - q.mu) / (q.std * q.std)

    def kl(self, q):
        """KL(q || p) = 1/2 sum_k [exp(logvar) + mu^2 - 1 - logvar], nats, (B,)."""
        out = np.empty(len(q.params), q.dtype)
        kernels.gaussian_kl(q.params, q.std, out)
        return out

    def kl_by_latent(self, q):
        """The terms of the sum in `kl`, nats, (B, K)."""
        return 0.5 * (q.std * q.std + q.mu * q.mu - 1 - q.logvar)

    def kl_grad(self, q):
        """dKL/d[mu, logvar] = [mu, (exp(logvar) - 1) / 2], (B, 2K)."""
        out = np.empty_like(q.params)
        kernels.gaussian_kl_grad(q.params, q.std, out)
        return out

    def kl_grad_exact(self, q):
        """The same, (B, 2K), apart from the loops that it checks."""
        return np.concatenate([q.mu, (q.std**2 - 1) / 2], axis=1)

    def batch_gradient(self, q, dparams, shares):
        """The same as `Prior.batch_gradient`, in one loop. dparams (S, B, 2K), shares (B, 2K) float64 -> (B, 2K)."""
        out = np.empty_like(q.params)
        kernels.gaussian_batch_gradient(dparams, q.params, q.std, shares, out)
        return out


def check_prior(prior):
    """`prior`, if it answers what a prior is asked.

    Parameters
    ----------
    prior : Prior
        Or anything with its methods.

    Returns
    -------
    Prior
        `prior` itself.

    Raises
    ------
    TypeError
        If it lacks an answer; the message names it.
    """
    needed = (
        "name",
        "sample",
        "log_prob",
        "log_ratio",
        "log_ratio_grad",
        "kl",
        "kl_by_latent",
        "kl_grad",
        "batch_gradient",
    )
    missing = [name for name in needed if not hasattr(prior, name)]
    if missing or isinstance(prior, type):
        lacks = f", which lacks {', '.join(missing)}" * bool(missing)
        raise TypeError(f"prior must be a prior such as tv.distributions.StandardNormal(), got {prior!r}{lacks}")
    return prior
