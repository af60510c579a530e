"""Judges of lesson 13: a Gaussian code's rate and distortion, the best q at beta, what independent pixels can reach."""

import numpy as np

from tinyvae.exercises.contract import Wrong, array, call, close, off, several

__all__ = ["rate_distortion_information", "best_code", "least_distortion"]

LOG_2PI = np.log(2 * np.pi)


def rate_distortion_information(answer):
    """Judge R, D and I against their formulas.

    Parameters
    ----------
    answer : callable
        (v, a, s, w, t) -> three numbers.

    Raises
    ------
    Wrong
        If one of them is off.
    """
    for v, a, s, w, t in ((2.0, 0.5, 0.6, 1.3, 0.8), (0.7, -1.4, 0.3, -0.5, 1.7), (3.1, 0.2, 1.2, 0.9, 0.4)):
        got = several(call(answer, v, a, s, w, t), 3, "the result (R, D, I)")
        where = f"at v = {v}, a = {a}, s = {s}, w = {w}, t = {t}"
        rights, mistakes = _code(v, a, s, w, t), _code_mistakes(v, a, s, w, t)
        for name, value in zip("RDI", got):
            number = array(value, (), name)
            _judge(number, rights[name], mistakes[name], f"{name} {where}")


def _code(v, a, s, w, t):
    """R, D, I of a Gaussian code."""
    aggregate = a**2 * v + s**2
    return {
        "R": (aggregate - 1 - np.log(s**2)) / 2,
        "D": (LOG_2PI + np.log(t**2) + (v * (1 - w * a) ** 2 + w**2 * s**2) / t**2) / 2,
        "I": np.log(aggregate / s**2) / 2,
    }


def _code_mistakes(v, a, s, w, t):
    """{name: {mistake: what it gives}}."""
    right, aggregate = _code(v, a, s, w, t), a**2 * v + s**2
    wide, narrow = _code(v, a, np.sqrt(s), w, t), _code(v, a, s**2, w, t)
    constant, squares = LOG_2PI / 2, (v * (1 - w * a) ** 2 + w**2 * s**2) / (2 * t**2)
    entropy = (LOG_2PI + np.log(v) + 1) / 2
    of_s = "s is a standard deviation"
    rate = {
        "that is the KL to the aggregate, which is I: the rate is against the prior": right["I"],
        "that is the aggregate's own KL to the prior, one part of the rate": right["R"] - right["I"],
        "the variance of the data is left out: μ = a x moves with x": _code(1.0, a, s, w, t)["R"],
        "v is a variance, it is not to be squared": _code(v**2, a, s, w, t)["R"],
        "that is the KL of an image x = 0 alone": _code(0.0, a, s, w, t)["R"],
        "log s is not log s²": (aggregate - 1 - np.log(s)) / 2,
    }
    distortion = {
        "z is a sample: its noise is seen in the pixel, too": right["D"] - w**2 * s**2 / (2 * t**2),
        "the noise of z is decoded, too, before it is seen in the pixel": right["D"] + (1 - w**2) * s**2 / (2 * t**2),
        "the constant of the Gaussian, log 2π, is missing": right["D"] - constant,
        "the decoder's width is missing in the constant": right["D"] - np.log(t),
        "that is the squared error over 2t² alone: what is the density's constant?": squares,
        "that is the mean squared error alone": squares * 2 * t**2,
        "half of the exponent is missing": right["D"] + squares,
        "t is a standard deviation": _code(v, a, s, w, np.sqrt(t))["D"],
        "that is H - I, the distortion of the best decoder: this one is given": entropy - right["I"],
        "w is left out: the decoder's mean is w z": _code(v, a, s, 1.0, t)["D"],
        "v is a variance, it is not to be squared": _code(v**2, a, s, w, t)["D"],
        "the variance of the data is left out": _code(1.0, a, s, w, t)["D"],
    }
    information = {
        "that is the rate: the mean KL to q(z), not to the prior": right["R"],
        "I has nothing to do with the decoder; that is H - D, which is at most I": entropy - right["D"],
        "the variance of the data is left out": _code(1.0, a, s, w, t)["I"],
        "a code's own noise is a part of the aggregate, too": np.log(a**2 * v / s**2) / 2,
        "v is a variance, it is not to be squared": _code(v**2, a, s, w, t)["I"],
    }
    found = {"R": rate, "D": distortion, "I": information}
    for name, mistakes in found.items():
        mistakes |= {
            f"{of_s}, not a variance": wide[name],
            f"{of_s}, and it is squared twice": narrow[name],
            "the half is missing": 2 * right[name],
            "the sign is wrong": -right[name],
            "this is in bits, not nats": right[name] / np.log(2),
        }
    return found


def best_code(answer):
    """Judge the best q and its objective.

    Parameters
    ----------
    answer : callable
        (x, beta, w, t) -> three numbers.

    Raises
    ------
    Wrong
        If one of them is off.
    """
    for x, beta, w, t in ((1.4, 0.4, 1.7, 0.8), (-2.1, 3.0, 0.6, 1.5), (0.9, 7.5, -2.3, 0.5)):
        got = several(call(answer, x, beta, w, t), 3, "the result (mu, sigma, objective)")
        where = f"at x = {x}, beta = {beta}, w = {w}, t = {t}"
        mu, sigma = _tilted(x, beta, w, t)
        upside, plain = _tilted(x, 1 / beta, w, t), _tilted(x, 1.0, w, t)
        of_t, of_w = _tilted(x, beta, w, np.sqrt(t)), _tilted(x, beta, 1.0, t)
        flat = _tilted(x, beta, w, t, prior=0.0)
        for i, name, right in ((0, "mu", mu), (1, "sigma", sigma)):
            mistakes = {
                "beta is on the wrong side: does a larger one make q wider, or narrower?": upside[i],
                "that is the exact posterior, which is best for beta = 1": plain[i],
                "t is a standard deviation": of_t[i],
                "w is left out": of_w[i],
                "the prior is left out": flat[i],
                "the sign is wrong": -right,
            }
            if name == "sigma":
                mistakes |= {"that is a variance": sigma**2, "that is a precision, 1/sigma²": sigma**-2.0}
                raised = (
                    "the prior is raised to a power there, in place of the likelihood: mu is the same, sigma is not"
                )
                mistakes[raised] = sigma / np.sqrt(beta)
            _judge(array(got[i], (), name), right, mistakes, f"{name} {where}")
        _judge(array(got[2], (), "the objective"), *_objectives(x, beta, w, t), f"the objective {where}")


def _tilted(x, beta, w, t, prior=1.0):
    """Mean and width of prior times likelihood to the power 1 / beta."""
    precision = prior + w**2 / (beta * t**2)
    return w * x / (beta * t**2) / precision, precision**-0.5


def _terms(x, mu, sigma, w, t):
    """E_q[log p(x | z)] and the KL."""
    inside = -(LOG_2PI + np.log(t**2) + ((x - w * mu) ** 2 + (w * sigma) ** 2) / t**2) / 2
    return inside, (mu**2 + sigma**2 - 1 - np.log(sigma**2)) / 2


def _objectives(x, beta, w, t):
    """The largest objective, and what mistakes give."""
    mu, sigma = _tilted(x, beta, w, t)
    inside, kl = _terms(x, mu, sigma, w, t)
    right = inside - beta * kl
    at_mean, posterior = inside + (w * sigma / t) ** 2 / 2, _terms(x, *_tilted(x, 1.0, w, t), w, t)
    log_px = -(LOG_2PI + np.log(w**2 + t**2) + x**2 / (w**2 + t**2)) / 2
    return right, {
        "the sign is wrong: that is the loss, which is made small": -right,
        "that is log p(x), which the objective's largest value is for beta = 1 alone": log_px,
        "that is the ELBO of this q: where is beta?": inside - kl,
        "the KL is missing": inside,
        "the KL is added, it is a price": inside + beta * kl,
        "beta divides the KL": inside - kl / beta,
        "beta is taken to multiply the first term": beta * inside - kl,
        "that is the logarithm of the integral, Z: what stands before it in the lesson?": right / beta,
        "z is a sample, its width costs something in the pixel, too": at_mean - beta * kl,
        "that is the objective of the exact posterior, and another q is better": posterior[0] - beta * posterior[1],
        "the constant of the Gaussian, log 2π, is missing": right + LOG_2PI / 2,
        "the decoder's width is missing in the constant": right + np.log(t),
        "the half of the KL is missing": inside - 2 * beta * kl,
    }


def least_distortion(answer):
    """Judge the least distortion of a factorised decoder.

    Parameters
    ----------
    answer : callable
        (x, p, q) -> float.

    Raises
    ------
    Wrong
        If it is off; the message says for which kind of code.
    """
    rng = np.random.default_rng(3)
    for kind, n_images, n_pixels, n_codes in (
        ("any code", 6, 4, 3), ("no code, M = 1,", 5, 3, 1), ("any code", 8, 5, 2),
        ("a code that is never used", 7, 3, 4), ("a code that tells all images apart", 5, 3, 5),
    ):  # fmt: skip
        x = np.array([[(row >> d) & 1 for d in range(n_pixels)] for row in rng.permutation(2**n_pixels)[:n_images]])
        p, q = rng.dirichlet(np.ones(n_images)), rng.dirichlet(np.ones(n_codes), n_images)  # N; N, M
        if "never" in kind:
            q[:, 0] = 0
            q /= q.sum(axis=1, keepdims=True)
        if "apart" in kind:
            q = np.eye(n_images)
        got = call(answer, x, p, q)
        if np.ndim(got) == 0 and isinstance(got, (float, np.floating)) and np.isnan(got):
            raise Wrong(f"NaN for {kind}: what is 0 log 0, and how often is a pixel white where no image is?")
        _judge(array(got, (), f"for {kind}, the result"), *_distortions(x, p, q), f"for {kind}, the result")


def _entropy(shares, axis=None):
    """-sum p log p over an axis."""
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=axis)


def _distortions(x, p, q):
    """The least distortion, and what mistakes give: {mistake: value}."""
    joint = p[:, None] * q  # N, M
    used = joint.sum(axis=0) > 0
    joint, q = joint[:, used], q[:, used]
    codes = joint.sum(axis=0)  # M
    white = (joint / codes).T @ x  # M, n
    of_pixels = _entropy(np.stack([white, 1 - white]), axis=0)  # M, n
    marginal = p @ x  # n
    right = codes @ of_pixels.sum(axis=1)
    equal = (q / q.sum(axis=0)).T @ x  # M, n: all images equally probable
    average = q.T @ x / len(x)
    return right, {
        "images given z are not all alike, but pixels are coded one by one: that is H(x | z) of whole images":
            codes @ _entropy(joint / codes, axis=0),
        "that is H, the entropy of the images: pixels that are independent given z do not reach it": _entropy(p),
        "the code is left out: that is the sum of the pixels' entropies": _bits(marginal).sum(),
        "all codes count the same: how often is each used?": of_pixels.sum(axis=1).mean(),
        "it is added up over the codes, not averaged": of_pixels.sum(),
        "all images count the same: p is left out": q.mean(axis=0) @ _bits(equal).sum(axis=1),
        "p is left out where a pixel's probability is computed": codes @ _bits(equal).sum(axis=1),
        "a pixel's probability given z is over the images with this z, it must be divided by how often z is":
            codes @ _bits(joint.T @ x).sum(axis=1),
        "q(z | x) and q(x | z) are not the same: the images with the code z are weighed by p q over its sum":
            codes @ _bits(average).sum(axis=1),
        "a black pixel has to be told, too: a bit's entropy has two terms":
            codes @ _entropy(white, axis=1),
        "it is a mean over pixels": right / x.shape[1],
        "this is in bits, not nats": right / np.log(2),
        "the sign is wrong": -right,
        "that is a mean squared error": codes @ (white * (1 - white)).sum(axis=1),
    }  # fmt: skip


def _bits(white):
    """The entropy of bits that are 1 with a probability."""
    return _entropy(np.stack([white, 1 - white]), axis=0)


def _judge(got, right, mistakes, what):
    """Raise Wrong unless `got` is right, naming the mistake if it is a known one."""
    if close(got, right):
        return
    if abs(right) < 1e-9:
        raise Wrong(f"{what}: {got:.3g}, where nothing is left to be said")
    for mistake, value in mistakes.items():
        if np.isfinite(value) and close(got, value):
            raise Wrong(f"{what}: {mistake}")
    raise Wrong(f"{what} is {off(got, right)}")
