"""The Gaussian of any covariance, by its Cholesky factor: latents that depend on each other given x."""

import functools
import math

import numpy as np

from tinyvae import validate
from tinyvae.distributions.contract import Distribution
from tinyvae.distributions.gaussian import DiagonalGaussian, gauss_hermite
from tinyvae.distributions.prior import StandardNormal
from tinyvae.kernels.gaussian import LOG_2PI

__all__ = ["FullGaussian"]


class FullGaussian(Distribution):
    """q(z) = N(z; mu, L L'), one for each row of a batch; L is lower triangular, exp(logdiag) its diagonal.

    The posterior of a linear-Gaussian model is one, which no diagonal q is, unless the decoder's columns are
    orthogonal. K (K - 1) / 2 more numbers a data point than the diagonal one; log q and its slopes solve triangular
    systems, K^3 each. Source: Kingma & Welling 2019, section 2.5.1, whose Cholesky factor this is.

    Parameters
    ----------
    mu : array (B, K)
        float32 or float64, finite.
    logdiag : array (B, K)
        Of mu's dtype, finite: logarithms of L's diagonal; for K = 1, of the standard deviation, half of the
        log-variance.
    lower : array (B, K (K - 1) / 2)
        Likewise: L below its diagonal, row by row, L_10, L_20, L_21, ...
    prior : Prior, optional
        What `kl` and `log_ratio` ask, N(0, I) unless a model says otherwise.

    Attributes
    ----------
    params : array (B, P)
        [mu, logdiag, lower], P = 2K + K (K - 1) / 2.
    mu : array (B, K)
        A view into params.
    logdiag : array (B, K)
        A view into params.
    lower : array (B, K (K - 1) / 2)
        A view into params.
    factor : array (B, K, K)
        L.
    prior : Prior
        As given.
    name : str
        "full_gaussian".
    blocks : tuple of str
        ("mu", "logdiag", "lower"), what `split` names.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a number is not finite; so for what `sample`, `path` and the densities and their
        slopes are given.
    TypeError
        If mu is neither float32 nor float64, or the others, or what those methods are given, are not of mu's dtype.
    """

    name, blocks, prior = "full_gaussian", ("mu", "logdiag", "lower"), StandardNormal()

    def __init__(self, mu, logdiag, lower, prior=StandardNormal()):
        mu = validate.array("mu", mu, ("B", "K"))
        logdiag = validate.array("logdiag", logdiag, mu.shape, mu.dtype)
        n_lower = self.n_params(mu.shape[1]) - 2 * mu.shape[1]
        lower = validate.array("lower", lower, (len(mu), n_lower), mu.dtype)
        vars(self).update(vars(self.from_params(np.concatenate([mu, logdiag, lower], axis=1), prior)))

    @classmethod
    def from_params(cls, params, prior=StandardNormal()):
        """The Gaussian of params = [mu, logdiag, lower] (B, P), unchecked and not copied."""
        q = cls.__new__(cls)
        n = round(math.sqrt(2 * params.shape[1] + 2.25) - 1.5)  # K (K + 3) / 2 = P
        q.params, q.prior = params, prior
        q.mu, q.logdiag, q.lower = params[:, :n], params[:, n : 2 * n], params[:, 2 * n :]
        q.factor = np.zeros((len(params), n, n), params.dtype)
        q.factor[:, *np.tril_indices(n, -1)] = q.lower
        q.factor[:, range(n), range(n)] = np.exp(q.logdiag)
        return q

    @property
    def mean(self):
        """E_q[z] = mu, (B, K)."""
        return self.mu

    @property
    def covariance(self):
        """L L', (B, K, K)."""
        return self.factor @ self.factor.transpose(0, 2, 1)

    @functools.cached_property
    def _inverse(self):
        """L^-1, (B, K, K)."""
        return np.linalg.inv(self.factor)

    # --- its shapes -------------------------------------------------------------------------------

    @staticmethod
    def n_params(n_latents):
        """How many numbers a data point's distribution over n_latents = K latents takes: 2K + K (K - 1) / 2, int."""
        return 2 * n_latents + n_latents * (n_latents - 1) // 2

    noise_shape, draw = staticmethod(DiagonalGaussian.noise_shape), staticmethod(DiagonalGaussian.draw)
    noise_nodes = DiagonalGaussian.noise_nodes  # of eps, not of z

    def split(self, dparams):
        """dparams, laid out like params, (..., P) -> its blocks, {"mu": (..., K), "logdiag": ..., "lower": ...}."""
        n = self.mu.shape[1]
        return {"mu": dparams[..., :n], "logdiag": dparams[..., n : 2 * n], "lower": dparams[..., 2 * n :]}

    def join(self, mu, logdiag, lower):
        """The inverse of `split`: (..., K), (..., K) and (..., K (K - 1) / 2) -> (..., P)."""
        return np.concatenate([mu, logdiag, lower], axis=-1)

    # --- samples, densities, slopes ---------------------------------------------------------------

    def sample(self, eps):
        """z = mu + L eps. eps (S, B, K) -> z (S, B, K)."""
        eps = validate.array("eps", eps, ("S", *self.mu.shape), self.dtype)
        return self.mu + _times(self.factor, eps)

    def log_prob(self, z):
        """log q(z) = -1/2 |L^-1 (z - mu)|^2 - sum_k logdiag_k - K/2 log 2 pi, nats. z (S, B, K) -> (S, B)."""
        u = _times(self._inverse, self.checked(z) - self.mu)  # S, B, K
        return -0.5 * (u * u + LOG_2PI).sum(axis=2) - self.logdiag.sum(axis=1)

    def log_prob_grad(self, z):
        """d log q(z) / dz = -L^-T L^-1 (z - mu), parameters held. z (S, B, K) -> (S, B, K)."""
        u = _times(self._inverse, self.checked(z) - self.mu)
        return -_times(self._inverse.transpose(0, 2, 1), u)

    def score(self, z):
        """d log q(z) / dparams: with u = L^-1 (z - mu) and v = L^-T u, dmu = v and dL = v u' - diag(1 / L).

        z (S, B, K) -> (S, B, P).
        """
        u = _times(self._inverse, self.checked(z) - self.mu)
        v = _times(self._inverse.transpose(0, 2, 1), u)
        score = self.path(v, u)
        self.split(score)["logdiag"][...] -= 1
        return score

    def path(self, dz, eps):
        """The chain rule through z = mu + L eps: dmu = dz, dlogdiag_k = dz_k L_kk eps_k, dL_ij = dz_i eps_j.

        dz (S, B, K), eps (S, B, K) -> (S, B, P).
        """
        eps = self.checked(eps, "eps")
        dz = validate.array("dz", dz, eps.shape, self.dtype)
        rows, columns = np.tril_indices(self.mu.shape[1], -1)
        return self.join(dz, dz * np.exp(self.logdiag) * eps, dz[..., rows] * eps[..., columns])

    def moved(self, dparams, eps):
        """How z moves when the params move by dparams: dz/dparams dparams, the transpose of `path`.

        dparams (S, B, P), eps (S, B, K) -> (S, B, K).
        """
        dmu, dlogdiag, dlower = self.split(dparams).values()
        moved = dmu + np.exp(self.logdiag) * eps * dlogdiag
        for at, (i, j) in enumerate(zip(*np.tril_indices(self.mu.shape[1], -1))):
            moved[..., i] += dlower[..., at] * eps[..., j]
        return moved

    def by_params(self, kl_weights):
        """A weight for each latent's KL as one for each parameter that it depends on: mu's and L's in its row.

        kl_weights, a number or (B, K) -> (B, P) float64.
        """
        weights = np.broadcast_to(np.asarray(kl_weights, "float64"), self.mu.shape)
        return self.join(weights, weights, weights[:, np.tril_indices(self.mu.shape[1], -1)[0]])

    # --- for a normal prior -------------------------------------------------------------------------

    @property
    def variance(self):
        """Of each latent, sum_j L_kj^2, (B, K)."""
        return np.square(self.factor).sum(axis=2)

    def entropy_by_latent(self):
        """logdiag + 1/2 [log 2 pi + 1], nats, (B, K): the entropy is their sum."""
        return self.logdiag + 0.5 * (LOG_2PI + 1)

    def from_moments(self, dmean, dvariance, dentropy):
        """The chain rule through mean, variance and entropy, slopes (B, K) or numbers in each -> (B, P)."""
        rows = np.tril_indices(self.mu.shape[1], -1)[0]
        diagonal = 2 * dvariance * np.exp(2 * self.logdiag) + dentropy
        return self.join(dmean, diagonal, 2 * dvariance[:, rows] * self.lower)

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
        z = self.mu + np.einsum("bij,nj->nbi", self.factor, eps)
        return z, np.repeat(weights[:, None], len(self.mu), axis=1)

    def exact_gradient(self, values, n_nodes, kl_weight=0.0):
        """d/dparams of E_q[f] + kl_weight KL(q || p), by quadrature from values of f alone.

            dE/dmu = L^-T E[f eps],   dE/dL = L^-T E[f (eps eps' - I)], its lower triangle

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
        array (B, P)
        """
        n = self.mu.shape[1]
        eps, weights = gauss_hermite(n_nodes, n)
        first = np.einsum("nb,ni->bi", values * weights[:, None], eps)  # B, K
        second = np.einsum("nb,nij->bij", values * weights[:, None], eps[:, :, None] * eps[:, None] - np.eye(n))
        dmu, dfactor = (np.linalg.solve(self.factor.transpose(0, 2, 1), one) for one in (first[..., None], second))
        dlogdiag = np.einsum("bii,bii->bi", dfactor, self.factor)
        gradient = self.join(dmu[..., 0], dlogdiag, dfactor[:, *np.tril_indices(n, -1)])
        return gradient + kl_weight * self.prior.kl_grad_exact(self)


def _times(matrices, vectors):
    """matrices (B, K, K) times vectors (S, B, K), each row's by its own -> (S, B, K)."""
    return np.ascontiguousarray(np.einsum("bij,sbj->sbi", matrices, vectors))
