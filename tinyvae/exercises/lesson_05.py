"""Judges of the exercises of lesson 05: two variances, and an estimator for steps."""

import numpy as np

from tinyvae import check
from tinyvae.distributions import DiagonalGaussian
from tinyvae.estimators import Target, score_function
from tinyvae.estimators.contract import checked_draws
from tinyvae.exercises.contract import Wrong, array, call, close, off, several

__all__ = ["variance_of_a_quartic", "variance_of_leave_one_out", "quieter_step"]

TOLERANCE = 1e-5  # float32's rounding is no mistake
STEPS = (0.0, 0.7)  # where f jumps
PLACES = ((1.0, 1.0), (-0.5, 2.0), (0.8, 0.5))  # mu, sigma of the rows of q
REPLICATES = 40_000  # of a variance


def variance_of_a_quartic(answer):
    """Judge the variances of both estimators for z^4.

    Parameters
    ----------
    answer : callable
        (mu, sigma) -> the score function's, the reparameterization's.

    Raises
    ------
    Wrong
        If it is not right.
    """
    target = Target(lambda z: (z**4).sum(axis=-1), lambda z: 4 * z**3)
    for mu, sigma in ((1.1, 0.7), (0.0, 1.0), (-0.6, 1.8), (2.0, 1.0)):
        names = "the score function's variance", "the reparameterization's variance"
        parts = several(call(answer, mu, sigma), 2)
        got = [array(part, (), name) for part, name in zip(parts, names)]
        moments = [_exact(name, mu, sigma, target) for name in ("score_function", "reparameterization")]
        expected = [variance[0] for _, variance in moments]
        if close(got[0], expected[1], TOLERANCE) and close(got[1], expected[0], TOLERANCE):
            raise Wrong("the two are in the other order: the score function's comes first")
        for name, one, true, (mean, variance) in zip(names, got, expected, moments):
            if close(one, true, TOLERANCE):
                continue
            known = {
                "is a mean square: a variance is less, unless the mean is 0": true + mean[0] ** 2,
                "is a standard deviation": np.sqrt(true),
                "is that of d/dlogvar: the question is d/dmu": variance[1],
                "is that of d/dsigma: the question is d/dmu": variance[1] * 4 / sigma**2,
                "is right at sigma = 1 only: what is the score in z, and what in eps?": true * sigma**2,
                "has a sigma too many: what is the score in z, and what in eps?": true / sigma**2,
                "is that of f itself: each value has a factor beside it": _moments(mu, sigma, lambda z: z**4)[1],
            }
            _name(known, one, f"{name} at mu = {mu:g}, sigma = {sigma:g}")
            raise Wrong(f"{name} is {off(one, true)} at mu = {mu:g}, sigma = {sigma:g}; ask tinyvae.check.exact_mean")


def variance_of_leave_one_out(answer):
    """Judge S times the variance of leave-one-out for a bowl.

    Parameters
    ----------
    answer : callable
        (a, sigma, n_samples) -> float.

    Raises
    ------
    Wrong
        If it is not right.
    """
    for a, sigma, samples in ((0.0, 1.0, 2), (0.0, 1.0, 5), (4.0, 1.0, 3), (1.5, 0.6, 2), (-0.8, 1.7, 4)):
        got = array(call(answer, a, sigma, samples))
        target = Target(lambda z: (z**2).sum(axis=-1), lambda z: 2 * z)  # k = 0, mu = a
        expected = samples * _exact("leave_one_out", a, sigma, target, samples, 4)[1][0]
        if close(got, expected, TOLERANCE):
            continue
        plain = _exact("score_function", a, sigma, target)[1][0]
        level = a**2 + sigma**2
        centred = Target(lambda z: (z**2).sum(axis=-1) - level)
        known_mean = _exact("score_function", a, sigma, centred)[1][0]
        rest = (expected - known_mean) * (samples - 1)
        at_one = samples * _exact("leave_one_out", a, 1.0, target, samples, 4)[1][0]
        known = {
            "is the variance of the mean over S: the question is S times that": expected / samples,
            "has a factor S too many": expected * samples,
            "is what a baseline that is known exactly leaves: the others' mean is itself noisy": known_mean,
            "divides by S where another number is due: how many others are there?": known_mean + rest / samples,
            "is that of a baseline with the sample's own f in it": expected * (1 - 1 / samples) ** 2,
            "is that of the score function without a baseline": plain,
            "is that of the reparameterization": 4 * sigma**2,
            "is a mean square: a variance is less, unless the mean is 0": expected + samples * 4 * a**2,
            "does not hold for this sigma: it is right at sigma = 1": at_one,
            "does not look at a": samples * _exact("leave_one_out", 0.0, sigma, target, samples, 4)[1][0],
            "is a standard deviation": np.sqrt(expected),
        }
        where = f"at a = {a:g}, sigma = {sigma:g}, S = {samples}"
        _name(known, got, f"the result {where}")
        raise Wrong(
            f"the result is {off(got, expected)} {where}; ask tinyvae.check.exact_mean with n_samples = {samples}"
        )


def quieter_step(answer):
    """Judge an estimator for steps: its mean by a certificate, its variance against the score function's.

    Parameters
    ----------
    answer : callable
        (q, target, eps, objective, rng) -> Draws.

    Raises
    ------
    Wrong
        If it is biased, too noisy, or no estimator.
    """
    mus, sigmas = np.array(PLACES).T[:, :, None]  # B, 1 each
    q = DiagonalGaussian(mus, 2 * np.log(sigmas))
    problems = []
    for step in STEPS:
        u = (mus - step) / sigmas
        density = np.exp(-0.5 * u * u) / np.sqrt(2 * np.pi)
        gradient = np.concatenate([density / sigmas, -u * density / 2], axis=1)  # B, 2
        problems.append(check.Problem(f"a step at {step:g}", q, _step(step), None, gradient))
    draws_more = [_judge_contract(answer, q, samples) for samples in (2, 4)]
    sizes = (2,) if any(draws_more) else (2, 4)  # one that draws more than eps is tested call by call, which takes long
    certificate = check.unbiased(answer, problems, sizes, level=1e-4, max_draws=200_000, seed=5)
    if not certificate.passed:
        raise Wrong(_why_biased(certificate))
    for samples in (2, 4):
        ratio = _price(answer, samples) / _price(score_function, samples)
        if ratio > 0.97:
            said = "as noisy as" if ratio < 1.03 else f"{ratio:.2g} times as noisy, at equal cost, as"
            raise Wrong(f"it is right on average, and for S = {samples} {said} the score function: what does f have in "
                        "common everywhere?")  # fmt: skip


# --- exact moments ------------------------------------------------------------------------------------------


def _exact(name, mu, sigma, target, samples=1, nodes=20):
    """The exact mean and variance of an estimate of d/dmu and d/dlogvar, two each."""
    q = DiagonalGaussian(np.array([[float(mu)]]), np.array([[2 * np.log(sigma)]]))
    mean, variance = check.exact_mean(name, q, target, n_samples=samples, n_nodes=nodes)
    return mean[0], variance[0]


def _moments(mu, sigma, function):
    eps, weights = check.gauss_hermite(20, 1)
    values = function(mu + sigma * eps[:, 0])
    mean = weights @ values
    return mean, weights @ (values - mean) ** 2


def _name(known, got, what):
    for words, value in known.items():
        if close(got, value, TOLERANCE):
            raise Wrong(f"{what} {words}")


# --- an estimator ---------------------------------------------------------------------------------------------


def _step(where):
    return Target(lambda z: (z[..., 0] > where).astype(z.dtype), np.zeros_like)


def _ask(answer, q, target, eps, seed=0):
    draws = answer(q.like(q.params.copy()), target, eps.copy(), None, np.random.default_rng(seed))
    if draws is None:
        raise Wrong("the result is None, expected tinyvae.Draws(f, dparams): is there a return?")
    try:
        return checked_draws(draws, q, eps, "your estimator")
    except (TypeError, ValueError) as error:
        raise Wrong(str(error)) from None


def _judge_contract(answer, q, samples):
    """Raise Wrong unless it returns finite Draws, f at q.sample(eps), each row for itself and not all zero.

    Returns whether it draws more than eps.
    """
    target, eps = _step(STEPS[0]), np.random.default_rng(samples).standard_normal((samples, len(q.mu), 1))
    draws = _ask(answer, q, target, eps)
    for name, part in zip(("f", "dparams"), draws):
        array(part, part.shape, name)
    if not close(draws.f, _step(STEPS[0])(q.sample(eps)), TOLERANCE):
        raise Wrong("Draws.f is not f at q.sample(eps): a baseline is for dparams only")
    if not draws.dparams.any():
        raise Wrong("dparams is 0 everywhere: the slope of a step says nothing, so use its values")
    if not target.evaluations or target.evaluations > 100 * samples:
        raise Wrong(f"f was evaluated {target.evaluations} times for {samples} samples")
    params, other_eps = q.params.copy(), eps.copy()
    params[1:, 0] -= 3.0  # the first row stays
    other_eps[:, 1:] *= -1.0
    other = _ask(answer, q.like(params), _step(STEPS[0]), other_eps)
    if not np.allclose(other.dparams[:, 0], draws.dparams[:, 0]):
        raise Wrong("a row's draws change with the other rows of the call: B is not S, and each row has its own mu")
    return not np.allclose(_ask(answer, q, target, eps, 1).dparams, draws.dparams)


def _why_biased(certificate):
    """In words what is wrong with the means."""

    def near(part, ratio):
        """Whether all means of d/dmu or d/dlogvar are `ratio` (S, sigma) times the exact ones."""
        tests = [t for t in certificate.tests if t.coordinate.startswith(part)]
        ratios = [ratio(t.n_samples, PLACES[t.point][1]) for t in tests]
        slack = [(1 + abs(r)) * t.threshold + 0.03 * abs(t.exact) for t, r in zip(tests, ratios)]
        return all(abs(t.mean - r * t.exact) <= s for t, r, s in zip(tests, ratios, slack))

    known = {
        "half of it for S = 2, three quarters for S = 4: what does a baseline do that contains the sample's own f?":
            lambda n, _: 1 - 1 / n,
        "of the wrong sign": lambda *_: -1,
        "S times too large: the mean over the S samples is taken by who calls": lambda n, _: n,
        "S times too small: the mean over the S samples is taken by who calls": lambda n, _: 1 / n,
        "0: the slope of a step says nothing, so use its values": lambda *_: 0,
        "twice as large as it should be": lambda *_: 2,
        "half as large as it should be": lambda *_: 1 / 2,
        "sigma times too large: what is the score in z, and what in eps?": lambda _, sigma: sigma,
    }  # fmt: skip
    for words, ratio in known.items():
        if near("mu", ratio):
            return f"the mean of d/dmu is {words}"
    if near("mu", lambda *_: 1):
        if near("logvar", lambda _, sigma: 2 / sigma):
            return "d/dmu is right on average, and the second half of dparams is d/dsigma: it should be d/dlogvar"
        return f"d/dmu is right on average, and d/dlogvar is not: {_worst(certificate)}"
    return _worst(certificate)


def _worst(certificate):
    t = certificate.failures[0] if certificate.failures else None
    if t is None:
        return "what it returns changes with its calls: the same eps and rng must give the same"
    place = f"{t.problem}, S = {t.n_samples}, where mu, sigma = {PLACES[t.point]}"
    return f"the mean of d/d{t.coordinate} is {off(t.mean, t.exact)} for {place}: ask tinyvae.check.unbiased"


def _price(estimator, samples):
    """The variance of the mean of d/dmu at mu = sigma = 1, times the evaluations of f."""
    target, ones = _step(0.0), np.ones((REPLICATES, 1))
    eps = np.random.default_rng(7).standard_normal((samples, REPLICATES, 1))
    draws = _ask(estimator, DiagonalGaussian(ones, 0 * ones), target, eps)
    return draws.dmu.mean(axis=0).var() * target.evaluations
