"""Judges of the exercises of lesson 04: three backward passes."""

import numpy as np

from tinyvae.distributions import DiagonalGaussian
from tinyvae.exercises.contract import Wrong, array, call, close, off, several
from tinyvae.likelihoods import Bernoulli
from tinyvae.mlp import MLP

__all__ = ["softplus_backward", "bernoulli_and_kl_backward", "sampling_backward"]

TOLERANCE = 1e-5  # of the largest number: float32's rounding is no mistake


def softplus_backward(answer):
    """Judge the backward pass of a softplus layer.

    Parameters
    ----------
    answer : callable
        (x, W, b, dy) -> dx, dW, db.

    Raises
    ------
    Wrong
        If it is not right.
    """
    rng = np.random.default_rng(4)
    for rows, n, m in ((6, 5, 3), (1, 2, 4)):
        x, W, b, dy = (rng.standard_normal(shape) for shape in ((rows, n), (n, m), (m,), (rows, m)))
        got = _layer_parts(call(answer, x, W, b, dy), x, W, b)
        expected = _layer(x, W, b, dy)
        if all(close(one, other, TOLERANCE) for one, other in zip(got, expected)):
            continue
        _explain_layer(got, expected, x, W, b, dy)
    x, W, b, dy = np.array([[800.0], [-800.0]]), np.ones((1, 1)), np.zeros(1), np.array([[1.5], [-0.5]])
    with np.errstate(all="ignore"):
        got = _layer_parts(call(answer, x, W, b, dy), x, W, b, " where a = 800 and -800")
    for name, one, other in zip(("dx", "dW", "db"), got, _layer(x, W, b, dy)):
        if not close(one, other, TOLERANCE):
            raise Wrong(f"{name} is right for an a of ordinary size and {off(one, other)} where a = 800 and -800")


def bernoulli_and_kl_backward(answer):
    """Judge the derivatives of a VAE's loss in its logits, and of its KL in mu and logvar.

    Parameters
    ----------
    answer : callable
        (logits, x, mu, logvar, beta) -> dlogits, dmu, dlogvar.

    Raises
    ------
    Wrong
        If it is not right.
    """
    rng = np.random.default_rng(5)
    for samples, rows, pixels, latents, beta in ((3, 4, 5, 2, 0.7), (1, 2, 3, 1, 1.0), (2, 3, 4, 3, 4.0)):
        logits, x = 2 * rng.standard_normal((samples, rows, pixels)), rng.random((rows, pixels))
        x[0] = np.round(x[0])  # black and white too
        mu, logvar = rng.standard_normal((2, rows, latents))
        with np.errstate(all="ignore"):
            parts = several(call(answer, logits, x, mu, logvar, beta), 3)
        dlogits = array(parts[0], logits.shape, "dlogits")
        dmu, dlogvar = (array(part, mu.shape, name) for part, name in zip(parts[1:], ("dmu", "dlogvar")))
        where = f" with S = {samples}, B = {rows}, beta = {beta:g}"
        _judge_logits(dlogits, logits, x, where)
        _judge_kl(dmu, dlogvar, mu, logvar, beta, samples, where)
    logits = np.array([[[800.0, -800.0]]])
    with np.errstate(all="ignore"):
        parts = several(call(answer, logits, np.array([[0.0, 1.0]]), np.ones((1, 1)), np.ones((1, 1)), 1.0), 3)
    dlogits = array(parts[0], logits.shape, "dlogits, where the logits are 800 and -800,")
    if not close(dlogits, [[[1.0, -1.0]]], TOLERANCE):
        raise Wrong("dlogits is right for logits of ordinary size, and wrong for logits of 800 and -800")


def sampling_backward(answer):
    """Judge the backward pass of z = mu + log(1 + e^rho) eps.

    Parameters
    ----------
    answer : callable
        (rho, eps, dz) -> dmu, drho.

    Raises
    ------
    Wrong
        If it is not right.
    """
    rng = np.random.default_rng(6)
    for samples, rows, latents in ((4, 3, 2), (1, 2, 1), (3, 1, 4)):
        rho = rng.standard_normal((rows, latents))
        eps, dz = rng.standard_normal((2, samples, rows, latents))
        parts = several(call(answer, rho, eps, dz), 2)
        for part, name in zip(parts, ("dmu", "drho")):
            if np.shape(part) == dz.shape and samples > 1:
                raise Wrong(
                    f"{name} has one number for each sample: what becomes of the paths that start in one number?"
                )
        got = [array(part, rho.shape, name) for part, name in zip(parts, ("dmu", "drho"))]
        _judge_sampling(*got, rho, eps, dz)


# --- softplus ---------------------------------------------------------------------------------------------


def _layer_parts(result, x, W, b, where=""):
    parts = several(result, 3)
    return [array(p, a.shape, name + where) for p, a, name in zip(parts, (x, W, b), ("dx", "dW", "db"))]


def _layer(x, W, b, dy):
    """dx, dW, db of a layer, from the package's own network: one more layer, which copies, makes this one hidden."""
    m = len(b)
    network = MLP((len(W), m, m), "softplus", "float64", rng=np.random.default_rng(0))
    for name, value in (("W0", W), ("b0", b), ("W1", np.eye(m)), ("b1", np.zeros(m))):
        network.params[name][:] = value
    _, cache = network.forward(x)
    dx, grads = network.backward(cache, dy)
    return dx, grads["W0"], grads["b0"]


def _explain_layer(got, expected, x, W, b, dy):
    """Raise Wrong, naming the mistake if it is a known one."""
    a = x @ W + b
    y = np.logaddexp(0, a)
    slopes = {
        "the activation's slope is missing: what does y do when a moves?": np.ones_like(a),
        "the slope is that of tanh, as in the lesson, with y put in: another activation has another slope": 1 - y * y,
        "the slope is that of tanh at a: another activation has another slope": 1 - np.tanh(a) ** 2,
        "the slope is taken at y: at which number does the activation start?": 1 / (1 + np.exp(-y)),
        "dy is multiplied by the activation itself: what is needed is its slope": y,
        "the slope is that of the sigmoid: softplus is not the sigmoid": np.exp(a) / (1 + np.exp(a)) ** 2,
        "the slope falls where a grows: does softplus do that? Look at a sign": 1 / (1 + np.exp(a)),
    }
    for words, slope in slopes.items():
        da = dy * slope
        if all(close(one, other, TOLERANCE) for one, other in zip(got, (da @ W.T, x.T @ da, da.sum(axis=0)))):
            raise Wrong(words)
    for name, one, other in zip(("dx", "dW", "db"), got, expected):
        if close(one, -other, TOLERANCE):
            raise Wrong(f"{name} has the wrong sign")
        if len(x) > 1 and close(one, other / len(x), TOLERANCE):
            raise Wrong(
                f"{name} is divided by the number of data points: the loss is not, so what happens to the paths?"
            )
        if not close(one, other, TOLERANCE):
            raise Wrong(f"{name} is {off(one, other)}; compare with tinyvae.check.gradients, one argument at a time")


# --- the loss ---------------------------------------------------------------------------------------------


def _judge_logits(got, logits, x, where):
    samples, rows, pixels = logits.shape
    slope, losses = logits.reshape(-1, pixels).copy(), np.empty(samples * rows)
    Bernoulli.loss_and_slope(slope, np.tile(x, (samples, 1)), losses)
    slope = slope.reshape(logits.shape)  # of one image's loss
    expected = slope / (samples * rows)
    if close(got, expected, TOLERANCE):
        return
    p = 1 / (1 + np.exp(-logits))
    share = samples * rows
    known = {
        "dlogits has the wrong sign: does the loss fall or rise when a black pixel's logit grows?": -expected,
        "dlogits knows nothing of the averages, over S samples and B data points: see the loss": slope,
        "dlogits lacks the average over the S samples: see the loss": slope / rows,
        "dlogits lacks the average over the B data points: see the loss": slope / samples,
        "dlogits is divided by the number of pixels: the loss adds over them": expected / pixels,
        "dlogits does not look at x: a white and a black pixel have different slopes": p / share,
        "dlogits compares the logit itself with x: which number of the model is like a pixel?": (logits - x) / share,
        "dlogits has the sigmoid's slope once too often: write the loss in logits first": expected * p * (1 - p),
        "dlogits is the derivative with respect to the probability: one more step to the logit": expected / p / (1 - p),
    }
    for words, value in known.items():
        if close(got, value, TOLERANCE):
            raise Wrong(words)
    raise Wrong(
        f"dlogits is {off(got, expected)}{where}; compare with tinyvae.check.gradients, mu and logvar held fixed"
    )


def _judge_kl(dmu, dlogvar, mu, logvar, beta, samples, where):
    rows = len(mu)
    of_mu, of_logvar = np.split(DiagonalGaussian(mu, logvar).kl_grad() * beta / rows, 2, axis=1)
    half = "the KL's 1/2: in which of its terms does it cancel?"
    for name, got, expected, known in (
        ("dmu", dmu, of_mu, {half: (2 * of_mu, of_mu / 2)}),
        ("dlogvar", dlogvar, of_logvar, {
            half: (2 * of_logvar, of_logvar / 2),
            "logvar is read as the logarithm of sigma, not of its square": (
                beta / rows * (np.exp(2 * logvar) - 1), beta / rows * (np.exp(2 * logvar) - 1) / 2),
            "its constant term: the KL has -logvar in it, which has a slope too": (beta / rows * np.exp(logvar) / 2,),
            "it is the derivative with respect to the variance or to sigma: logvar is another number": (
                beta / rows * (1 - np.exp(-logvar)) / 2,
                beta / rows * (np.exp(logvar / 2) - np.exp(-logvar / 2))),
        }),
    ):  # fmt: skip
        if close(got, expected, TOLERANCE):
            continue
        known |= {
            "its sign: is the KL part of a loss, or of a bound that is made large?": (-expected,),
            "the average over the B data points: see the loss": (expected * rows,),
            "beta: see the loss": (expected / beta,),
            "an average over samples: the KL has none, it is in closed form": (expected / samples,),
            "beta and the average over the B data points: see the loss": (expected * rows / beta,),
        }
        for words, values in known.items():
            if any(close(got, value, TOLERANCE) for value in values):
                raise Wrong(f"{name} is wrong in {words}" if not words.startswith(("it is", "logvar")) else
                            f"{name} is wrong: {words}")  # fmt: skip
        raise Wrong(
            f"{name} is {off(got, expected)}{where}; compare with tinyvae.check.gradients, the logits held fixed"
        )


# --- the sampling step --------------------------------------------------------------------------------------


def _judge_sampling(dmu, drho, rho, eps, dz):
    samples = len(dz)
    network = MLP((1, 1, 1), "softplus", "float64", rng=np.random.default_rng(0))
    network.theta[:] = [1, 0, 1, 0]  # softplus itself
    _, cache = network.forward(rho.reshape(-1, 1))
    slope = network.backward(cache, np.ones((rho.size, 1)))[0].reshape(rho.shape)
    sigma = np.logaddexp(0, rho)
    expected_mu, of_sigma = dz.sum(axis=0), (dz * eps).sum(axis=0)
    expected = of_sigma * slope
    if samples > 1 and (close(dmu, expected_mu / samples, TOLERANCE) or close(drho, expected / samples, TOLERANCE)):
        raise Wrong("the samples are averaged: dz is already the derivative of the whole loss in each z, so what "
                    "happens to the paths?")  # fmt: skip
    if samples > 1 and close(dmu, dz[0], TOLERANCE):
        raise Wrong("dmu looks at the first sample alone: every sample starts from the same mu")
    if close(dmu, -expected_mu, TOLERANCE):
        raise Wrong("dmu has the wrong sign")
    if not close(dmu, expected_mu, TOLERANCE):
        raise Wrong(f"dmu is {off(dmu, expected_mu)}: how does z move when mu does?")
    known = {
        "drho is the derivative with respect to sigma: there is one more step, from sigma to rho": of_sigma,
        "drho has no eps in it: how far does sigma carry a sample whose eps is 0?": dz.sum(axis=0) * slope,
        "drho reads rho as if it were logvar: here sigma is log(1 + e^rho)": of_sigma * np.exp(rho / 2) / 2,
        "drho reads rho as if it were log sigma: here sigma is log(1 + e^rho)": of_sigma * np.exp(rho),
        "drho has sigma where its slope in rho should be": of_sigma * sigma,
        "drho has half of sigma where its slope in rho should be, as with a logvar": of_sigma * sigma / 2,
        "drho has the slope of softplus at sigma: at which number does it start?": of_sigma / (1 + np.exp(-sigma)),
        "drho has the wrong sign": -expected,
        "drho has a slope that falls where rho grows: does softplus do that? Look at a sign": of_sigma * (1 - slope),
    }
    if close(drho, expected, TOLERANCE):
        return
    for words, value in known.items():
        if close(drho, value, TOLERANCE):
            raise Wrong(words)
    raise Wrong(f"drho is {off(drho, expected)}; compare with tinyvae.check.gradients, eps held fixed")
