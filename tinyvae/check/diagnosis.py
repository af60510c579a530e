"""Which known mistake the numbers of a failed certificate fit, in words.

A mistake is a prediction of the bias of each coordinate. It is named if the biases are its prediction times 1, by
weighted least squares, with a standard error that excludes 0 by far, and if what is left is no more than noise. Where
no mistake that is known predicts the numbers, nothing is said.
"""

import numpy as np

from tinyvae.check.evidence import AGREEMENT, PRECISION, Evidence, fit
from tinyvae.check.report import LOSS, SPREAD
from tinyvae.problems.exact import NODES, exact_gradient
from tinyvae.variance.replicates import analytic_kl_grad

__all__ = ["diagnose"]

DECISIVE = 2.0  # thresholds by which f, or a call of few points, must be off: its patterns are simple enough for chance
APART = 1.5  # how many times larger than another one of the numbers must be, to tell a factor from a constant
LARGE = 10.0  # how many times larger than where all is well the losses must be, to blame their size


def diagnose(tests, problems):
    """Sentences that name the known mistakes that fit.

    Parameters
    ----------
    tests : list of Tested
        All of a certificate, passed and failed.
    problems : dict
        {(name, S): Problem}, of all the tests.

    Returns
    -------
    tuple of str
        Empty where nothing failed, or where nothing that is known fits.
    """
    gradient = [t for t in tests if not t.of_loss]
    if any(not t.passed for t in gradient):
        evidence = Evidence(gradient, problems)
        for look in (_call, _objective, _samples, _row, _factors, _scores, _logstd, _signal):
            if found := look(evidence):
                return tuple(found)
        return ()
    return tuple(_loss([t for t in tests if t.of_loss], problems))


# --- mistakes: each a function of the evidence that returns sentences -----------------------------------------


def _call(e):
    """Dependence on other points of the call, where the problems' names tell."""
    wrong = [t for t in e.tests if not t.passed]
    decisive = any(abs(t.bias) > DECISIVE * t.threshold for t in wrong)
    if decisive and e.failed[e.small].any() and not e.failed[~e.small].any():
        return [
            "biased only in calls of their own, with few data points: the draws for a point depend on who else is in "
            "the call"
        ]
    return []


def _row(e):
    """Dependence on a point's place in the call."""
    points = {t.point for t, alone in zip(e.tests, e.alone) if not t.passed and not alone}
    if e.failed[e.alone].any() and len(points) == 1 < len({t.point for t in e.tests}):
        (point,) = points
        return [
            f"only data point {point} of each call is wrong: the draws for a point depend on its place among the "
            "others, such as by a baseline taken from one row, which is that row's own f"
        ]
    return []


def _objective(e):
    """A KL that was forgotten, or added."""
    sampled = e.of(lambda p: _kl_grad(p, "sampled_kl"))
    if np.nansum(np.abs(sampled)) and e.fits(-sampled):
        what = "what is missing is the gradient of the sampled KL"
        if (sampled == 0).any():
            what = "unbiased wherever the KL is analytic, biased where it is sampled"
        return [f"{what}: it ignores `objective`; see `tv.objectives.Integrand`"]
    analytic = e.of(lambda p: _kl_grad(p, "analytic_kl"))
    if np.nansum(np.abs(analytic)) and e.fits(analytic):
        return ["what is too much is the gradient of the analytic KL: that is the VAE's to add, not the estimator's"]
    return []


def _samples(e):
    """Factors that depend on how many samples or points there are: an own sample in the baseline, one mean too many."""
    mean_over = "the draws for a point depend on the others, by a baseline that is a mean over"
    guesses = [  # the share of the exact gradient that is lost, and why
        (1 / e.S, "its mean is (1 - 1/S) times the exact gradient, 0 at S = 1: each sample's own f is in its baseline; "
         "leave it out"),
        (1 - 1 / e.S, "its mean is 1/S of the exact gradient: dparams are averaged over the samples already; return "
         "each sample's contribution, for the caller averages"),
    ]  # fmt: skip
    if e.alone.any():  # the points of a call are linked
        guesses += [
            (1 / (e.S * e.rows), "its mean is (1 - 1/(S n)) times the exact gradient, n being the points of a call: "
             f"{mean_over} the whole call, with the own sample in it"),
            (1 / e.rows, "its mean is (1 - 1/n) times the exact gradient, n being the points of a call: "
             f"{mean_over} the points, with the own in it"),
        ]  # fmt: skip
    if set(e.block) == {"mu", "logvar"} and e.S.min() > 1:
        guesses.append((
            np.where(e.block == "mu", -1, 1) / (e.S - 1), "d/dmu is (1 + 1/(S - 1)) times what it should be, d/dlogvar "
            "(1 - 1/(S - 1)) times: antithetic noise, and each sample's mirror image in its leave-one-out baseline",
        ))  # fmt: skip
    everywhere = e.S > 0
    for where, clause in ((everywhere, ""), e.narrowed()):
        found = {}
        for share, words in guesses:
            if set(share[where]) - {0.0, 1.0} and e.fits(-e.exact * share, where):
                found.setdefault((share[where].tobytes(), "caller" in words), words + clause)
        if found:
            same = _factors(e) if len(set(e.S)) == 1 and where is everywhere else []
            apart = len(found) + len(same) > 1 and len(set(e.S)) == 1 and "mirror" not in str(found)
            return [*found.values(), *same * apart, *["one S alone does not tell these apart: try others"] * apart]
    return []


def _factors(e):
    """A constant factor, of everything or of a block of q's parameters."""
    if found := e.share(e.exact, e.S > 0):
        factor, why = _factor(*found)
        return [f"the whole gradient is {factor} everywhere: {why}"]
    sentences = []
    for block in dict.fromkeys(e.block[e.failed]):
        found = e.share(e.exact, e.block == block)
        if not found:
            return []
        factor, why = _factor(*found)
        if factor.startswith("twice") and block == "logvar":
            why += ", or a log-variance is read as a log-std"
        sentences.append(f"d/d{block} is {factor} everywhere: {why}")
    return sentences


def _scores(e):
    """A score whose mean is not 0, by a constant in it."""
    loss = e.of(lambda p: p.loss[:, None] if p.loss is not None and _averages(p) else None)
    sentences = []
    for block in dict.fromkeys(e.block[e.failed]):
        where = e.block == block
        found = e.share(loss, where)
        if found is None or not _apart(loss[where]):
            return []
        sentences.append(
            f"d/d{block} is off by {found[0]:.3g} times E[f]: the score's mean is not 0; look at the sign and the size "
            "of the constant in it (-1/2 for a Gaussian's logvar)"
        )
    return sentences


def _logstd(e):
    """A Gaussian's log-variance read as a log-std by the sampler, or by the score, where no KL is sampled."""
    sampler, score = (e.of(mistake) for mistake in (_in_the_sampler, _in_the_score))
    for predicted, where in ((sampler, "where z is sampled"), (score, "in the score")):
        if np.nansum(np.abs(predicted)) and e.fits(predicted):
            return [f"the log-variance is read as a log-std {where}: std = exp(logvar / 2), not exp(logvar)"]
    return []


def _signal(e):
    """A learning signal that is clipped or normalised."""
    sizes = {t.problem: p.size.max() for t, p in zip(e.tests, e.problems) if p.size is not None}
    failed = {t.problem for t in e.tests if not t.passed}
    wrong, right = ([size for name, size in sizes.items() if (name in failed) is kind] for kind in (True, False))
    t, error, _ = fit(e.bias[e.failed], e.error[e.failed], e.exact[e.failed])
    cause = "is the learning signal clipped or normalised"
    if not all(map(_averages, e.problems)):
        cause = "do the samples' weights underflow"
    if wrong and right and min(wrong) > LARGE * max(right) and t < -AGREEMENT * error:
        return [
            f"right where the loss is {max(right):.2g} nats or less in size, too small where it is {min(wrong):.2g} or "
            f"more: {cause}?"
        ]
    norms = []
    for name in dict.fromkeys(t.problem for t in e.tests if not t.problem.endswith(" a call")):
        here = np.array([t.problem == name for t in e.tests])
        norms.append((*(np.linalg.norm(a[here]) for a in (e.exact, e.exact + e.bias, e.error)), name))
    (exact, mean, noise, small), (exact_large, mean_large, noise_large, large) = min(norms), max(norms)
    if exact_large > LARGE**2 * exact > 0 and mean > AGREEMENT * noise:
        ratio, found = exact_large / exact, mean_large / mean
        if found + AGREEMENT * noise_large / mean < ratio**0.5:
            return [
                f"the exact gradient is {ratio:.2g} times as long in {large} as in {small}, its mean {found:.2g} "
                "times: is the learning signal normalised?"
            ]
    return []


def _loss(tests, problems):
    """What is wrong with f, where nothing is with the gradient."""
    if not any(abs(t.bias) > DECISIVE * t.threshold for t in tests):
        return []
    means, spreads = ([t for t in tests if t.coordinate == name] for name in (LOSS, SPREAD))
    cause = "no bias in the gradient, but f is not the loss"
    if any(not t.passed for t in means):
        problem_of = [problems[t.problem, t.n_samples] for t in means]
        bias, exact = (np.array([getattr(t, name) for t in means]) for name in ("bias", "exact"))
        error = np.array([max(t.standard_error, 1e-10 * (t.scale + abs(t.mean))) for t in means])
        weights = np.array([p.objective.sampled_kl if p.objective is not None else 0.0 for p in problem_of])
        if weights.any():
            kl = weights * [p.q.kl()[t.point] for t, p in zip(means, problem_of)]
            t, off, rest_is_noise = fit(bias, error, -kl)
            if rest_is_noise and off <= PRECISION and abs(t - 1) <= AGREEMENT * off + 1e-9:
                return [
                    f"{cause}: it lacks the sampled KL, which belongs to each sample's f; see `tv.objectives.Integrand`"
                ]
        t, off, rest_is_noise = fit(bias, error, exact)
        if rest_is_noise and _apart(exact) and off <= PRECISION * abs(t):
            if _factor(t, off) == FACTORS[0]:
                return [f"{cause}: it is 0 on average; was a baseline taken from it?"]
            return [f"{cause}, it is {1 + t:.3g} times the loss"]
        return [f"{cause}, which training reports"]
    failed = [t for t in spreads if not t.passed]
    sizes, tried = {t.n_samples for t in failed}, {t.n_samples for t in spreads}
    if all(t.bias > 0 for t in failed):
        return [f"{cause}: right on average, it varies too much"]
    if all(t.bias < 0 for t in failed):
        if 1 not in sizes and tried > sizes:
            return [f"{cause}: right on average, it varies too little with several samples; is it their mean? Each "
                    "sample's own belongs there, (S, B)"]  # fmt: skip
        return [f"{cause}: right on average, it varies too little" + ", or is the samples' mean" * (1 not in tried)]
    return [f"{cause}: right on average, its spread is wrong"]


# --- parts --------------------------------------------------------------------------------------------------


def _apart(numbers):
    """Whether they differ enough to tell a factor of them from a constant."""
    sizes = np.abs(numbers[np.isfinite(numbers)])
    return len(sizes) > 1 and sizes.max() > APART * sizes.min()


def _averages(p):
    return p.objective is None or p.objective.averages


FACTORS = {
    0: ("0 on average", "a term is missing, such as the path by which z depends on it"),
    0.5: ("half of what it should be", "a factor 1/2 too many"),
    2: ("twice what it should be", "a factor 1/2 is missing"),
    -1: ("minus what it should be", "the wrong sign"),
}


def _factor(t, error):
    """What 1 + t, a factor found with this standard error, is called, and why it may be so."""
    for value, words in FACTORS.items():
        if abs(1 + t - value) <= AGREEMENT * max(error, 1e-9):
            return words
    return f"{1 + t:.4g} (+- {2 * error:.2g}) times what it should be", "a constant factor"


def _kl_grad(p, kind):
    """The gradient of the KL that is taken as "sampled_kl" or "analytic_kl", (B, P); None if it is no average."""
    if p.objective is None:
        return np.zeros_like(p.gradient)
    if not _averages(p) or not hasattr(p.q, "kl_grad"):
        return None
    return p.objective.sampled_kl * p.q.kl_grad() if kind == "sampled_kl" else analytic_kl_grad(p.q, p.objective)


def _in_the_sampler(p):
    """The bias of the gradient with respect to mu and log std at a std of exp(logvar), (B, P); None if unknown."""
    if not _reads_logvar(p) or not hasattr(p.q, "nodes") or p.q.mean.shape[1] not in NODES:
        return None
    mu, logvar = p.q.split(p.q.params).values()
    wide = p.q.like(p.q.join(mu, 2 * logvar))
    dmu, dlogvar = p.q.split(exact_gradient(wide, p.target, None, NODES[mu.shape[1]])).values()
    return p.q.join(dmu, 2 * dlogvar) - p.gradient


def _in_the_score(p):
    """The bias of f times [u / std, u^2 - 1], u = (z - mu) / std and std = exp(logvar), (B, P); None as above."""
    if not _reads_logvar(p) or p.loss is None:
        return None
    narrow = np.exp(-p.q.logvar)  # the true variance over that of the score
    dmu, dlogvar = p.q.split(p.gradient).values()
    return p.q.join(narrow * dmu, 2 * narrow * dlogvar + (narrow - 1) * p.loss[:, None]) - p.gradient


def _reads_logvar(p):
    gaussian = list(p.q.split(p.q.params)) == ["mu", "logvar"] and hasattr(p.q, "join")
    return gaussian and (p.objective is None or (p.objective.averages and not p.objective.sampled_kl))
