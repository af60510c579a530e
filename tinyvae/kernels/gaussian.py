"""The diagonal Gaussian's loops: sample, log-density, score, pathwise chain rule, KL.

Each compiled loop stands directly below its NumPy twin. Shapes: `params` = [mu, logvar] (B, 2K);
`std` (B, K); `eps`, `z`, `dz` (S, B, K); the last argument of each is written.
"""

import math

import numpy as np

from tinyvae.kernels.compile import loop

__all__ = [
    "LOG_2PI",
    "gaussian_sample_numpy",
    "gaussian_sample",
    "gaussian_log_prob_numpy",
    "gaussian_log_prob",
    "gaussian_log_ratio_numpy",
    "gaussian_log_ratio",
    "gaussian_score_numpy",
    "gaussian_score",
    "gaussian_path_numpy",
    "gaussian_path",
    "gaussian_kl_numpy",
    "gaussian_kl",
    "gaussian_kl_grad_numpy",
    "gaussian_kl_grad",
    "gaussian_batch_gradient_numpy",
    "gaussian_batch_gradient",
]

LOG_2PI = math.log(2 * math.pi)


def gaussian_sample_numpy(params, std, eps, z):
    """z = mu + std eps; z (S, B, K)."""
    np.multiply(std, eps, out=z)
    z += params[:, : std.shape[1]]


@loop(gaussian_sample_numpy)
def gaussian_sample(params, std, eps, z):
    for s in range(eps.shape[0]):
        for b in range(eps.shape[1]):
            for k in range(eps.shape[2]):
                z[s, b, k] = params[b, k] + std[b, k] * eps[s, b, k]


def gaussian_log_prob_numpy(params, std, z, out):
    """log q(z) = -1/2 sum_k [((z - mu) / std)^2 + logvar + log 2 pi]; out (S, B)."""
    n = std.shape[1]
    u = (z - params[:, :n]) / std
    out[...] = -0.5 * (u * u + params[:, n:] + LOG_2PI).sum(axis=2)


@loop(gaussian_log_prob_numpy)
def gaussian_log_prob(params, std, z, out):
    half, log_2pi = std.dtype.type(-0.5), std.dtype.type(LOG_2PI)
    n = std.shape[1]
    for s in range(z.shape[0]):
        for b in range(z.shape[1]):
            total = std.dtype.type(0)
            for k in range(n):
                u = (z[s, b, k] - params[b, k]) / std[b, k]
                total += u * u + params[b, n + k] + log_2pi
            out[s, b] = half * total


def gaussian_log_ratio_numpy(params, std, z, out):
    """log q(z) - log N(z; 0, I) = 1/2 sum_k [z^2 - ((z - mu) / std)^2 - logvar]; out (S, B)."""
    n = std.shape[1]
    u = (z - params[:, :n]) / std
    out[...] = 0.5 * (z * z - u * u - params[:, n:]).sum(axis=2)


@loop(gaussian_log_ratio_numpy)
def gaussian_log_ratio(params, std, z, out):
    half = std.dtype.type(0.5)
    n = std.shape[1]
    for s in range(z.shape[0]):
        for b in range(z.shape[1]):
            total = std.dtype.type(0)
            for k in range(n):
                u = (z[s, b, k] - params[b, k]) / std[b, k]
                total += z[s, b, k] * z[s, b, k] - u * u - params[b, n + k]
            out[s, b] = half * total


def gaussian_score_numpy(params, std, z, out):
    """d log q(z) / d [mu, logvar], with u = (z - mu) / std: [u / std, (u^2 - 1) / 2]; out (S, B, 2K)."""
    n = std.shape[1]
    u = (z - params[:, :n]) / std
    out[..., :n] = u / std
    out[..., n:] = 0.5 * (u * u - 1)


@loop(gaussian_score_numpy)
def gaussian_score(params, std, z, out):
    half, one = std.dtype.type(0.5), std.dtype.type(1)
    n = std.shape[1]
    for s in range(z.shape[0]):
        for b in range(z.shape[1]):
            for k in range(n):
                u = (z[s, b, k] - params[b, k]) / std[b, k]
                out[s, b, k] = u / std[b, k]
                out[s, b, n + k] = half * (u * u - one)


def gaussian_path_numpy(std, eps, dz, out):
    """dz' dz/d[mu, logvar], with z = mu + exp(logvar / 2) eps: [dz, dz std eps / 2]; out (S, B, 2K)."""
    n = std.shape[1]
    out[..., :n] = dz
    out[..., n:] = 0.5 * dz * std * eps


@loop(gaussian_path_numpy)
def gaussian_path(std, eps, dz, out):
    half = std.dtype.type(0.5)
    n = std.shape[1]
    for s in range(dz.shape[0]):
        for b in range(dz.shape[1]):
            for k in range(n):
                out[s, b, k] = dz[s, b, k]
                out[s, b, n + k] = half * dz[s, b, k] * std[b, k] * eps[s, b, k]


def gaussian_kl_numpy(params, std, out):
    """KL(q || N(0, I)) = 1/2 sum_k [std^2 + mu^2 - 1 - logvar]; out (B,)."""
    n = std.shape[1]
    mu, logvar = params[:, :n], params[:, n:]
    out[:] = 0.5 * (std * std + mu * mu - 1 - logvar).sum(axis=1)


@loop(gaussian_kl_numpy)
def gaussian_kl(params, std, out):
    half, one = std.dtype.type(0.5), std.dtype.type(1)
    n = std.shape[1]
    for b in range(std.shape[0]):
        total = std.dtype.type(0)
        for k in range(n):
            mu = params[b, k]
            total += std[b, k] * std[b, k] + mu * mu - one - params[b, n + k]
        out[b] = half * total


def gaussian_kl_grad_numpy(params, std, out):
    """d KL / d [mu, logvar] = [mu, (std^2 - 1) / 2]; out (B, 2K)."""
    n = std.shape[1]
    out[:, :n] = params[:, :n]
    out[:, n:] = 0.5 * (std * std - 1)


@loop(gaussian_kl_grad_numpy)
def gaussian_kl_grad(params, std, out):
    half, one = std.dtype.type(0.5), std.dtype.type(1)
    n = std.shape[1]
    for b in range(std.shape[0]):
        for k in range(n):
            out[b, k] = params[b, k]
            out[b, n + k] = half * (std[b, k] * std[b, k] - one)


def gaussian_batch_gradient_numpy(dparams, params, std, shares, out):
    """d/d[mu, logvar] of a batch's mean loss: mean_s dparams / B + shares dKL/dparams.

    dparams (S, B, 2K); shares (B, 2K) float64, each KL's weight in the batch's mean loss; out (B, 2K).
    """
    n_samples, n_points, n_params = dparams.shape
    gaussian_kl_grad_numpy(params, std, out)
    out *= shares
    out += dparams.sum(axis=0) / (n_samples * n_points)


@loop(gaussian_batch_gradient_numpy)
def gaussian_batch_gradient(dparams, params, std, shares, out):
    real = std.dtype.type
    n_samples, n_points, n_params = dparams.shape
    n = n_params // 2
    scale = real(1 / (n_samples * n_points))
    half, one = real(0.5), real(1)
    for b in range(n_points):
        for k in range(n):
            dmu, dlogvar = real(0), real(0)
            for s in range(n_samples):
                dmu += dparams[s, b, k]
                dlogvar += dparams[s, b, n + k]
            mu_share, logvar_share = real(shares[b, k]), real(shares[b, n + k])
            out[b, k] = scale * dmu + mu_share * params[b, k]
            out[b, n + k] = scale * dlogvar + logvar_share * half * (std[b, k] * std[b, k] - one)
