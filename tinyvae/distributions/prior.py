"""Priors p(z): what a model draws latents from, and what q's `kl` and `log_ratio` ask."""

import math

import numpy as np
import scipy

from tinyvae.kernels import gaussian as kernels

__all__ = ["Prior", "StandardNormal", "LearntNormal", "check_prior"]


class Prior:
    """What a prior answers about a distribution q over the latents; the rest follows from five methods of a subclass.

        sample(rng, n, n_latents, dtype)    n draws of z, (n, K)
        log_prob(z)                         log p(z), nats. z (S, B, K) -> (S, B)
        log_prob_grad(z)                    its slope. z (S, B, K) -> (S, B, K)
        kl_by_latent(q)                     each latent's part of KL(q || p), nats, (B, K)
        kl_grad(q)                          dKL(q || p)/dparams, (B, P)

    One that learns says so in four more, see `LearntNormal`: `parameters`, `bound`, `kl_gradients`,
    `log_prob_gradients`.

    Attributes
    ----------
    name : str
        How it is called.
    """

    name = "a prior of one's own"

    @classmethod
    def of(cls, family):
        """The prior of this kind for latents of a family, with nothing else told."""
        return cls()

    def parameters(self, n_latents):
        """What it learns itself, {name: initial array}, for n_latents = K: nothing, an empty dict."""
        return {}

    def bound(self, **values):
        """The same prior, with the present values of its `parameters`: itself, for it has none."""
        return self

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


def _exp(value):
    """exp of an array, or of a number, which then keeps no array from its dtype."""
    return math.exp(value) if isinstance(value, float) else np.exp(value)


class Normal(Prior):
    """p(z) = prod_k N(z_k; mu_k, exp(logvar_k)), for any q that tells its `mean`, `variance` and `entropy_by_latent`.

    Parameters
    ----------
    mu, logvar : array (K,), optional
        0 where not given.
    """

    def __init__(self, mu=0.0, logvar=0.0):
        self.mu, self.logvar = mu, logvar

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
        eps = rng.standard_normal((n, n_latents), dtype=dtype)
        return (self.mu + _exp(0.5 * self.logvar) * eps).astype(eps.dtype, copy=False)

    def quantile(self, u):
        """Where each latent's distribution function is u: u (n, K) in (0, 1) -> z (n, K)."""
        return self.mu + _exp(0.5 * self.logvar) * scipy.special.ndtri(u)

    def log_prob(self, z):
        """log p(z) = -1/2 sum_k [(z_k - mu_k)^2 / exp(logvar_k) + logvar_k + log 2 pi], nats. z (S, B, K) -> (S, B)."""
        off = z - self.mu
        return -0.5 * (off * off * _exp(-self.logvar) + self.logvar + kernels.LOG_2PI).sum(axis=2)

    def log_prob_grad(self, z):
        """d log p(z) / dz = -(z - mu) / exp(logvar). z (S, B, K) -> (S, B, K)."""
        return -(z - self.mu) * _exp(-self.logvar)

    def kl_by_latent(self, q):
        """Each latent's E_q[-log p(z_k)] less its share of q's entropy, nats, (B, K)."""
        off = q.mean - self.mu
        cross = 0.5 * ((off * off + q.variance) * _exp(-self.logvar) + self.logvar + kernels.LOG_2PI)
        return cross - q.entropy_by_latent()

    def kl_grad(self, q):
        """dKL/dparams, (B, P), by way of q's means and variances."""
        precision = _exp(-self.logvar)
        return q.from_moments((q.mean - self.mu) * precision, 0.5 * precision + 0 * q.mean, -1.0)


class LearntNormal(Normal):
    """p(z) = prod_k N(z_k; mu_k, exp(logvar_k)), its means and log-variances learnt with the model.

    In a model's theta they are "prior.mu" and "prior.logvar", zeros at first: N(0, I). They add no new densities of x,
    for the decoder's first layer could shift and scale the latents itself; but they can be read, and they leave the
    decoder's weights free of the latents' scale, which weight decay and a first layer's start depend on.

    Parameters
    ----------
    mu : array (K,), optional
        0 if not given.
    logvar : array (K,), optional
        Likewise.

    Attributes
    ----------
    name : str
        "learnt_normal".
    mu, logvar : array (K,) or float
        As given; in a model they are views into its theta.
    """

    name = "learnt_normal"

    def __repr__(self):
        return "LearntNormal()"  # of what is not learnt there is nothing to tell

    def parameters(self, n_latents):
        """{"mu": zeros (K,), "logvar": zeros (K,)}, for n_latents = K."""
        return {"mu": np.zeros(n_latents), "logvar": np.zeros(n_latents)}

    def bound(self, **values):
        """The prior of these values: mu (K,) and logvar (K,), not copied."""
        return type(self)(**values)

    def kl_gradients(self, q, shares):
        """d sum_bk shares KL_bk / d its parameters. shares (B, K) -> {"mu": (K,), "logvar": (K,)}."""
        off = q.mean - self.mu  # B, K
        spread = (off * off + q.variance) * _exp(-self.logvar)  # B, K
        dmu = -(shares * off * _exp(-self.logvar)).sum(axis=0)
        return {"mu": dmu, "logvar": (shares * 0.5 * (1 - spread)).sum(axis=0)}

    def log_prob_gradients(self, z, weights):
        """d sum_sb weights log p(z) / d its parameters. z (S, B, K), weights (S, B) -> {"mu": (K,), "logvar": (K,)}."""
        off = z - self.mu  # S, B, K
        spread = off * off * _exp(-self.logvar)
        weights = weights[..., None]
        dmu = (weights * off * _exp(-self.logvar)).sum(axis=(0, 1))
        return {"mu": dmu, "logvar": (weights * 0.5 * (spread - 1)).sum(axis=(0, 1))}


class StandardNormal(Normal):
    """p(z) = N(0, I). What it makes of independent latents, a q with `std`, stands in compiled loops.

    Attributes
    ----------
    name : str
        "standard_normal".
    """

    name = "standard_normal"

    def __init__(self):
        super().__init__()

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

    def log_prob(self, z):
        """log p(z) = -1/2 sum_k [z_k^2 + log 2 pi], nats. z (S, B, K) -> (S, B)."""
        return -0.5 * (z * z + kernels.LOG_2PI).sum(axis=2)

    def log_prob_grad(self, z):
        """d log p(z) / dz = -z. z (S, B, K) -> (S, B, K)."""
        return -z

    def log_ratio(self, q, z):
        """log q(z) - log p(z), nats, the two log 2 pi left out. z (S, B, K) -> (S, B)."""
        if not hasattr(q, "std"):
            return super().log_ratio(q, z)
        out = np.empty(z.shape[:2], q.dtype)
        kernels.gaussian_log_ratio(q.params, q.std, z, out)
        return out

    def log_ratio_grad(self, q, z):
        """d/dz [log q(z) - log p(z)] = z - (z - mu) / std^2, parameters held. z (S, B, K) -> (S, B, K)."""
        if not hasattr(q, "std"):
            return super().log_ratio_grad(q, z)
        return z - (z - q.mu) / (q.std * q.std)

    def kl(self, q):
        """KL(q || p) = 1/2 sum_k [exp(logvar) + mu^2 - 1 - logvar], nats, (B,)."""
        if not hasattr(q, "std"):
            return super().kl(q)
        out = np.empty(len(q.params), q.dtype)
        kernels.gaussian_kl(q.params, q.std, out)
        return out

    def kl_by_latent(self, q):
        """The terms of the sum in `kl`, nats, (B, K)."""
        if not hasattr(q, "std"):
            return super().kl_by_latent(q)
        return 0.5 * (q.std * q.std + q.mu * q.mu - 1 - q.logvar)

    def kl_grad(self, q):
        """dKL/d[mu, logvar] = [mu, (exp(logvar) - 1) / 2], (B, 2K)."""
        if not hasattr(q, "std"):
            return super().kl_grad(q)
        out = np.empty_like(q.params)
        kernels.gaussian_kl_grad(q.params, q.std, out)
        return out

    def kl_grad_exact(self, q):
        """The same, (B, 2K), apart from the loops that it checks."""
        if not hasattr(q, "std"):
            return super().kl_grad_exact(q)
        return np.concatenate([q.mu, (q.std**2 - 1) / 2], axis=1)

    def batch_gradient(self, q, dparams, shares):
        """The same as `Prior.batch_gradient`, in one loop. dparams (S, B, 2K), shares (B, 2K) float64 -> (B, 2K)."""
        if not hasattr(q, "std"):
            return super().batch_gradient(q, dparams, shares)
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
