"""The diagonal Gaussian over latents: what the encoder's output means."""

import numpy as np

from tinyvae import validate
from tinyvae.kernels import gaussian as kernels


class DiagonalGaussian:
    """q(z) = prod_k N(z_k; mu_k, exp(logvar_k)), one for each row of a batch.

    DiagonalGaussian(mu, logvar): each (B, K), float32 or float64, finite.
    params: (B, 2K) = [mu, logvar]; mu, logvar: views into it; std: (B, K) = exp(logvar / 2).

    The log-variance is unconstrained, so that the encoder's last layer can be linear (Kingma &
    Welling 2014, appendix C.2). Raises ValueError or TypeError where the two do not fit.
    """

    def __init__(self, mu, logvar):
        mu = validate.array("mu", mu, ("B", "K"))
        logvar = validate.array("logvar", logvar, mu.shape, mu.dtype)
        self._set(np.concatenate([mu, logvar], axis=1))

    @classmethod
    def from_params(cls, params):
        """The Gaussian of params = [mu, logvar] (B, 2K), unchecked and not copied."""
        q = cls.__new__(cls)
        q._set(params)
        return q

    def _set(self, params):
        n = params.shape[1] // 2
        self.params, self.mu, self.logvar = params, params[:, :n], params[:, n:]
        self.std = np.exp(0.5 * self.logvar)  # the one place where a log-variance becomes a standard deviation

    @property
    def dtype(self):
        return self.params.dtype

    def noise(self, rng, n_samples=1):
        """eps ~ N(0, I), (S, B, K), from a numpy Generator."""
        validate.generator("rng", rng)
        shape = (validate.integer("n_samples", n_samples, least=1), *self.mu.shape)
        return rng.standard_normal(shape, dtype=self.dtype)

    def sample(self, eps):
        """z = mu + std eps. eps (S, B, K) -> z (S, B, K)."""
        eps = validate.array("eps", eps, ("S", *self.mu.shape), self.dtype)
        z = np.empty_like(eps)
        kernels.gaussian_sample(self.params, self.std, eps, z)
        return z

    def log_prob(self, z):
        """log q(z) = -1/2 sum_k [((z - mu) / std)^2 + logvar + log 2 pi], nats. z (S, B, K) -> (S, B)."""
        return self._per_sample(kernels.gaussian_log_prob, z)

    def log_ratio(self, z):
        """log q(z) - log p(z) with the prior p = N(0, I), nats. z (S, B, K) -> (S, B)."""
        return self._per_sample(kernels.gaussian_log_ratio, z)

    def log_ratio_grad(self, z):
        """d/dz [log q(z) - log p(z)] = z - (z - mu) / std^2, parameters held. z (S, B, K) -> (S, B, K)."""
        z = self._check(z)
        return z - (z - self.mu) / (self.std * self.std)

    def score(self, z):
        """d log q(z) / d [mu, logvar], with u = (z - mu) / std: [u / std, (u^2 - 1) / 2]. z (S, B, K) -> (S, B, 2K)."""
        z = self._check(z)
        out = np.empty((*z.shape[:2], self.params.shape[1]), self.dtype)
        kernels.gaussian_score(self.params, self.std, z, out)
        return out

    def path(self, dz, eps):
        """The chain rule through z = mu + exp(logvar / 2) eps: dz' dz/d[mu, logvar] = [dz, dz std eps / 2].

        dz, eps (S, B, K) -> (S, B, 2K).
        """
        eps = self._check(eps, "eps")
        dz = validate.array("dz", dz, eps.shape, self.dtype)
        out = np.empty((*dz.shape[:2], self.params.shape[1]), self.dtype)
        kernels.gaussian_path(self.std, eps, dz, out)
        return out

    def kl(self):
        """KL(q || N(0, I)) = 1/2 sum_k [exp(logvar) + mu^2 - 1 - logvar], nats, (B,) (Kingma & Welling 2014, appendix B)."""
        out = np.empty(len(self.params), self.dtype)
        kernels.gaussian_kl(self.params, self.std, out)
        return out

    def kl_grad(self):
        """d KL(q || N(0, I)) / d [mu, logvar] = [mu, (exp(logvar) - 1) / 2], (B, 2K)."""
        out = np.empty_like(self.params)
        kernels.gaussian_kl_grad(self.params, self.std, out)
        return out

    def batch_gradient(self, dparams, beta):
        """(mean_s dparams + beta dKL/dparams) / B, the gradient of a batch's mean loss. dparams (S, B, 2K) -> (B, 2K)."""
        out = np.empty_like(self.params)
        kernels.gaussian_batch_gradient(dparams, self.params, self.std, beta, out)
        return out

    def _check(self, z, name="z"):
        return validate.array(name, z, ("S", *self.mu.shape), self.dtype)

    def _per_sample(self, kernel, z):
        z = self._check(z)
        out = np.empty(z.shape[:2], self.dtype)
        kernel(self.params, self.std, z, out)
        return out
