"""The diagonal Gaussian over latents: what the encoder's output means."""

import functools

import numpy as np

from tinyvae import validate
from tinyvae.distributions.contract import Distribution
from tinyvae.distributions.prior import StandardNormal
from tinyvae.kernels import gaussian as kernels

__all__ = ["DiagonalGaussian", "gauss_hermite"]


class DiagonalGaussian(Distribution):
    """q(z) = prod_k N(z_k; mu_k, exp(logvar_k)), one for each row of a batch.

    The log-variance is unconstrained, so that the encoder's last layer can be linear (Kingma &
    Welling 2014, appendix C.2).

    Parameters
    ----------
    mu : array (B, K)
        float32 or float64, finite.
    logvar : array (B, K)
        Of mu's dtype, finite.
    prior : Prior, optional
        What `kl` and `log_ratio` ask, N(0, I) unless a model says otherwise.

    Attributes
    ----------
    params : array (B, 2K)
        [mu, logvar].
    mu : array (B, K)
        A view into params.
    logvar : array (B, K)
        A view into params.
    std : array (B, K)
        exp(logvar / 2).
    prior : Prior
        As given.
    name : str
        "gaussian".
    blocks : tuple of str
        ("mu", "logvar"), what `split` names.

    Raises
    ------
    ValueError
        If the shapes of mu and logvar do not fit, or a number is not finite; so for what `sample`, `path` and the
        densities and their slopes are given.
    TypeError
        If mu is neither float32 nor float64, or logvar, or what those methods are given, is not of mu's dtype.
    """

    name, blocks, prior = "gaussian", ("mu", "logvar"), StandardNormal()

    def __init__(self, mu, logvar, prior=StandardNormal()):
        mu = validate.array("mu", mu, ("B", "K"))
        logvar = validate.array("logvar", logvar, mu.shape, mu.dtype)
        vars(self).update(vars(self.from_params(np.concatenate([mu, logvar], axis=1), prior)))

    @classmethod
    def from_params(cls, params, prior=StandardNormal()):
        """The Gaussian of params = [mu, logvar] (B, 2K), unchecked and not copied."""
        q, n = cls.__new__(cls), params.shape[1] // 2
        q.params, q.mu, q.logvar, q.prior = params, params[:, :n], params[:, n:], prior
        half = 0.5 * q.logvar
        q.std = np.exp(half, out=half)  # the one place where a log-variance becomes a standard deviation
        return q

    @property
    def mean(self):
        """E_q[z] = mu, (B, K)."""
        return self.mu

    # --- its shapes -------------------------------------------------------------------------------

    @staticmethod
    def n_params(n_latents):
        """How many numbers a data point's distribution over n_latents = K latents takes: 2K, int."""
        return 2 * n_latents

    @staticmethod
    def noise_shape(n_points, n_latents):
        """The shape of a sample's eps: (n_points, n_latents) = (B, K)."""
        return n_points, n_latents

    @staticmethod
    def draw(rng, n_samples, n_points, n_latents, dtype, scheme):
        """eps from a noise scheme: the Gaussian takes it as it comes, standard normal.

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
            (rng, n_samples, n_points, n_latents, dtype) -> eps, see `tv.noise`.

        Returns
        -------
        array (S, B, K)
        """
        return scheme(rng, n_samples, n_points, n_latents, dtype)

    def split(self, dparams):
        """dparams, laid out like params, (..., 2K) -> its named blocks, {"mu": (..., K), "logvar": (..., K)}."""
        n = self.mu.shape[1]
        return {"mu": dparams[..., :n], "logvar": dparams[..., n:]}

    def join(self, mu, logvar):
        """The inverse of `split`: mu and logvar, (..., K) each -> (..., 2K)."""
        return np.concatenate([mu, logvar], axis=-1)

    # --- samples, densities, slopes ---------------------------------------------------------------

    def sample(self, eps):
        """z = mu + std eps. eps (S, B, K) -> z (S, B, K)."""
        eps = validate.array("eps", eps, ("S", *self.mu.shape), self.dtype)
        z = np.empty_like(eps)
        kernels.gaussian_sample(self.params, self.std, eps, z)
        return z

    def log_prob(self, z):
        """log q(z) = -1/2 sum_k [((z - mu) / std)^2 + logvar + log 2 pi], nats. z (S, B, K) -> (S, B)."""
        z = self.checked(z)
        out = np.empty(z.shape[:2], self.dtype)
        kernels.gaussian_log_prob(self.params, self.std, z, out)
        return out

    def log_prob_grad(self, z):
        """d log q(z) / dz = -(z - mu) / std^2, parameters held. z (S, B, K) -> (S, B, K)."""
        z = self.checked(z)
        return -(z - self.mu) / (self.std * self.std)

    def score(self, z):
        """d log q(z) / d [mu, logvar], with u = (z - mu) / std: [u / std, (u^2 - 1) / 2]. z (S, B, K) -> (S, B, 2K)."""
        z = self.checked(z)
        out = np.empty((*z.shape[:2], self.params.shape[1]), self.dtype)
        kernels.gaussian_score(self.params, self.std, z, out)
        return out

    def path(self, dz, eps):
        """The chain rule through z = mu + exp(logvar / 2) eps: dz' dz/d[mu, logvar] = [dz, dz std eps / 2].

        dz (S, B, K), eps (S, B, K) -> (S, B, 2K).
        """
        eps = self.checked(eps, "eps")
        dz = validate.array("dz", dz, eps.shape, self.dtype)
        out = np.empty((*dz.shape[:2], self.params.shape[1]), self.dtype)
        kernels.gaussian_path(self.std, eps, dz, out)
        return out

    def moved(self, dparams, eps):
        """How z moves when the params move by dparams: dz/d[mu, logvar] dparams, the transpose of `path`.

        dparams (S, B, 2K), eps (S, B, K) -> (S, B, K).
        """
        dmu, dlogvar = self.split(dparams).values()
        return dmu + 0.5 * self.std * eps * dlogvar

    def by_params(self, kl_weights):
        """A weight for each latent's KL as one for each parameter that it depends on.

        kl_weights, a number or (B, K) -> (B, 2K) float64.
        """
        if not isinstance(kl_weights, np.ndarray):
            return np.full(self.params.shape, float(kl_weights))
        weights = np.broadcast_to(np.asarray(kl_weights, "float64"), self.mu.shape)
        return np.concatenate([weights, weights], axis=1)

    # --- for a normal prior -------------------------------------------------------------------------

    @property
    def variance(self):
        """Of each latent, std^2, (B, K)."""
        return self.std * self.std

    def entropy_by_latent(self):
        """1/2 [logvar + log 2 pi + 1], nats, (B, K): the entropy is their sum."""
        return 0.5 * (self.logvar + (kernels.LOG_2PI + 1))

    def from_moments(self, dmean, dvariance, dentropy):
        """The chain rule through mean, variance and entropy, slopes (B, K) or numbers in each -> (B, 2K)."""
        return self.join(dmean, dvariance * self.variance + 0.5 * dentropy)

    # --- exact expectations, apart from all above ---------------------------------------------------

    def nodes(self, n_nodes):
        """Gauss-Hermite quadrature over z: sum_n w_n f(z_n) = E_q[f(z)], N = n_nodes^K.

        Parameters
        ----------
        n_nodes : int
            In each latent.

        Returns
        -------
        z : array (N, B, K)
        weights : array (N, B)

        Raises
        ------
        ValueError
            For more than three latents, or n_nodes below 1.
        TypeError
            If n_nodes is no integer.
        """
        if self.mu.shape[1] > 3:
            raise ValueError(f"quadrature is for at most 3 latents, got {self.mu.shape[1]}")
        eps, weights = gauss_hermite(n_nodes, self.mu.shape[1])
        return self.mu + self.std * eps[:, None, :], np.repeat(weights[:, None], len(self.mu), axis=1)

    def exact_gradient(self, values, n_nodes, kl_weight=0.0):
        """d/dparams of E_q[f] + kl_weight KL(q || p), by quadrature from values of f alone.

            dE/dmu = E[f eps] / std,   dE/dlogvar = E[f (eps^2 - 1)] / 2

        Parameters
        ----------
        values : array (N, B)
            f at `nodes(n_nodes)`, nats.
        n_nodes : int
            In each latent.
        kl_weight : float, optional
            The KL's.

        Returns
        -------
        array (B, 2K)
        """
        nodes, weights = gauss_hermite(n_nodes, self.mu.shape[1])
        eps = nodes[:, None, :]  # N, 1, K
        f = values[..., None] * weights[:, None, None]  # N, B, 1
        dmu, dlogvar = (f * eps).sum(axis=0) / self.std, (f * (eps * eps - 1)).sum(axis=0) / 2  # B, K
        return np.concatenate([dmu, dlogvar], axis=1) + kl_weight * self.prior.kl_grad_exact(self)

    def noise_nodes(self, n_nodes, n_samples):
        """Quadrature over the noise of S = n_samples independent samples.

        n_nodes in each of S K dimensions -> eps (S, N, K) and weights (N,), N = n_nodes^(S K).
        """
        n_latents = self.mu.shape[1]
        nodes, weights = gauss_hermite(n_nodes, n_samples * n_latents)
        return nodes.reshape(-1, n_samples, n_latents).transpose(1, 0, 2), weights


_hermite = functools.cache(np.polynomial.hermite_e.hermegauss)  # the eigenvalues of a matrix of n_nodes rows


def gauss_hermite(n_nodes, n_latents):
    """Nodes and weights with sum_i w_i f(eps_i) = E[f(eps)], eps ~ N(0, I).

    Exact for polynomials of degree up to 2 n_nodes - 1 in each latent.

    Parameters
    ----------
    n_nodes : int
        In each latent.
    n_latents : int

    Returns
    -------
    eps : array (n_nodes^n_latents, n_latents)
        float64.
    weights : array (n_nodes^n_latents,)
        float64.

    Raises
    ------
    ValueError
        For numbers below 1, or more than 370 nodes.
    TypeError
        For what is no integer.

    Notes
    -----
    Source: Golub & Welsch 1969.
    """
    if validate.integer("n_nodes", n_nodes, least=1) > 370:
        raise ValueError(f"n_nodes must be at most 370, got {n_nodes}: the weights of more underflow")
    validate.integer("n_latents", n_latents, least=1)
    x, w = _hermite(n_nodes)
    grid = np.meshgrid(*[x] * n_latents, indexing="ij")
    weights = np.ones(1)
    for _ in range(n_latents):
        weights = np.multiply.outer(weights, w / w.sum()).ravel()
    return np.stack([g.ravel() for g in grid], axis=1), weights
