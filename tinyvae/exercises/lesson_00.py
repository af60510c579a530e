"""Judges of lesson 00: the page's three places where it matters what the encoder puts out."""

import numpy as np

from tinyvae.check import gauss_hermite
from tinyvae.distributions import DiagonalGaussian
from tinyvae.exercises.contract import Wrong, array, call, close, off, several

__all__ = ["draw_codes", "kl_and_slopes", "score_of_codes"]

AS_LOGVAR = "log σ is read as if it were log σ²"


def draw_codes(answer):
    """Judge the codes drawn from μ, log σ and noise.

    Parameters
    ----------
    answer : callable
        (mu, log_sigma, eps) -> z.

    Raises
    ------
    Wrong
        If they are not the codes of this noise.
    """
    for seed in (0, 1):
        mu, r, eps = _inputs(seed)
        sigma = np.exp(r)  # B, K
        got = array(call(answer, mu, r, eps), eps.shape, "z")
        _recognise(got, mu + sigma * eps, "z", {
            AS_LOGVAR + ": the page's half belongs to a log-variance": mu + np.exp(r / 2) * eps,
            "the noise is multiplied by the variance; codes as wide as that have variance σ⁴": mu + sigma**2 * eps,
            "the noise is multiplied by log σ itself, which may be negative: what turns it into σ?": mu + r * eps,
            "the noise is not scaled: where does σ come in?": mu + eps,
            "the noise enters with a minus sign. The codes have the right distribution, but the slope of z in log σ "
            "has the wrong sign": mu - sigma * eps,
            "there is no noise in z: all samples of an image are the same": mu + 0 * eps,
            "σ is added where it should scale the noise": mu + sigma + 0 * eps,
            "σ scales the mean as well as the noise": sigma * (mu + eps),
            "all samples of an image share one noise": mu + sigma * (eps[:1] + 0 * eps),
        })  # fmt: skip


def kl_and_slopes(answer):
    """Judge the KL to the standard Gaussian and its slopes in μ and log σ.

    Parameters
    ----------
    answer : callable
        (mu, log_sigma) -> the KL, dKL/dmu, dKL/dlog_sigma.

    Raises
    ------
    Wrong
        If one of the three is not right; the KL is looked at first.
    """
    for seed in (0, 1):
        mu, r, _ = _inputs(seed)
        q, half = DiagonalGaussian(mu, 2 * r), DiagonalGaussian(mu, r.copy())
        kl, variance, (B, K) = q.kl(), np.exp(2 * r), mu.shape  # B; B, K
        found = several(call(answer, mu, r), 3, "the result (KL, dKL/dμ, dKL/dr)")
        _recognise(array(found[0], (B,), "the KL"), kl, "the KL", {
            "the factor 1/2 is missing": 2 * kl,
            "the sign is wrong: a KL is never negative": -kl,
            "the sign is wrong and the factor 1/2 is missing. So it is often printed; a KL is never negative": -2 * kl,
            AS_LOGVAR: half.kl(),
            "the logarithm is that of the standard deviation, where the formula has the variance's":
                kl + r.sum(axis=1) / 2,
            "σ stands where the formula has the variance": kl + (np.exp(r) - variance).sum(axis=1) / 2,
            "μ is not squared": kl + (mu - mu**2).sum(axis=1) / 2,
            "the -1 is missing: for q = N(0, I) the KL must be 0": kl + K / 2,
            "it is a mean over the K numbers of a code, where the KL is a sum": kl / K,
            "it is averaged over images": np.full(B, kl.mean()),
            "it is divided by the number of images": kl / B,
        })  # fmt: skip
        _recognise(array(found[1], (B, K), "dKL/dμ"), mu, "dKL/dμ", {
            "the factor 1/2 of the KL is forgotten": 2 * mu,
            "a factor 1/2 is left over: differentiate the square": mu / 2,
            "the sign is wrong: the KL grows as μ leaves 0": -mu,
            "it is divided by the number of images": mu / B,
            "it is divided by K": mu / K,
            "it is divided by the variance; the prior's variance is 1": mu / variance,
        })  # fmt: skip
        slope = variance - 1  # B, K
        _recognise(array(found[2], (B, K), "dKL/dr"), slope, "dKL/dr", {
            "that is the slope in log σ², as on the page: how do the two logarithms depend on each other?": slope / 2,
            "that is the slope in σ, not in log σ: the chain rule has one more factor": slope / np.exp(r),
            "that is the slope in σ²: the chain rule has one more factor": slope / variance / 2,
            "the factor 1/2 of the KL is forgotten": 2 * slope,
            "the sign is wrong: a wide q must become narrower": -slope,
            AS_LOGVAR: (np.exp(r) - 1) / 2,
            "the derivative of the logarithm's term is that for log σ² (look at r = 0, where it must vanish)":
                variance - 0.5,
            "the derivative of e^(2r) lacks its inner factor (look at r = 0, where it must vanish)": variance / 2 - 1,
            "it is divided by the number of images": slope / B,
            "it is divided by K": slope / K,
        })  # fmt: skip


def score_of_codes(answer):
    """Judge the slopes of log q(z) in μ and log σ.

    Parameters
    ----------
    answer : callable
        (mu, log_sigma, z) -> dlog q/dmu, dlog q/dlog_sigma.

    Raises
    ------
    Wrong
        If one of the two is not right.
    """
    for seed in (0, 1):
        mu, r, eps = _inputs(seed)
        q, K, sigma = DiagonalGaussian(mu, 2 * r), mu.shape[1], np.exp(r)
        z = q.sample(eps)  # S, B, K
        score = q.score(z)  # S, B, 2K: mu, logvar
        parts = several(call(answer, mu, r, z), 2, "the result (dlog q/dμ, dlog q/dr)")
        names = "dlog q/dμ", "dlog q/dr"
        of_mu, of_r = (array(part, z.shape, name) for part, name in zip(parts, names))
        wide = np.exp(r / 2)  # B, K: what σ would be if r were a log-variance
        _recognise(of_mu, score[..., :K], names[0], {
            "the sign is wrong: to move μ towards z makes z more likely": -eps / sigma,
            "it is divided by σ where log q has a square; or is log σ read as if it were log σ²?": eps,
            "it is not divided by the variance": z - mu,
            "it is divided by σ too often": eps / sigma**2,
            "a factor 1/2 is left over: differentiate the square": eps / sigma / 2,
            "the factor 1/2 of log q is forgotten": 2 * eps / sigma,
        }, _mean(answer, 0))  # fmt: skip
        square = eps**2
        _recognise(of_r, 2 * score[..., K:], names[1], {
            "that is the slope in log σ², as on the page: how do the two logarithms depend on each other?":
                (square - 1) / 2,
            "that is the slope in σ, not in log σ: the chain rule has one more factor": (square - 1) / sigma,
            "that is the slope in σ²: the chain rule has two more factors": (square - 1) / sigma**2 / 2,
            "the sign is wrong: a z far from μ is made more likely by a wider q": 1 - square,
            "the term -log σ of log q has a slope, too": square,
            "a factor 1/2 is left over in one of the two terms: the mean over draws must be 0": square / 2 - 1,
            "the term -log σ is differentiated as if r were log σ²: the mean over draws must be 0": square - 0.5,
            "one term has the wrong sign: the mean over draws must be 0": square + 1,
            AS_LOGVAR: (((z - mu) / wide) ** 2 - 1) / 2,
            AS_LOGVAR + " where ε is computed": ((z - mu) / wide) ** 2 - 1,
        }, _mean(answer, 1))  # fmt: skip


def _inputs(seed):
    """mu (B, K), r = log sigma (B, K) and noise (S, B, K), of sizes that no two axes share."""
    rng = np.random.default_rng(seed)
    S, B, K = ((5, 4, 3), (2, 3, 6))[seed]
    return rng.normal(0, 1.5, (B, K)), rng.uniform(-1.2, 0.8, (B, K)), rng.standard_normal((S, B, K))


def _recognise(got, expected, what, mistakes, hint=lambda: ""):
    """Raise Wrong unless got is expected: with the mistake's name, if it is a known one."""
    if close(got, expected):
        return
    for mistake, value in mistakes.items():
        if close(got, value):
            raise Wrong(f"{what}: {mistake}")
    raise Wrong(f"{what} is {off(got, expected)}{hint()}")


def _mean(answer, part):
    """A sentence on the mean of a score over draws, by quadrature: it must be 0."""

    def sentence():
        mu, r = np.array([[0.7]]), np.array([[-0.4]])
        nodes, weights = gauss_hermite(20, 1)  # n, 1; n
        z = mu + np.exp(r) * nodes[:, None]  # n, 1, 1
        score = array(call(answer, mu, r, z)[part], z.shape, "the score")  # n, 1, 1
        mean = float(weights @ score[:, 0, 0])
        return f"; its mean over draws is {mean:.3f}, it should be 0" if abs(mean) > 1e-3 else "; its mean, 0, is right"

    return sentence
