"""A certificate of unbiasedness: for what is random."""

import copy
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinyvae import estimators as registry
from tinyvae import validate, variance
from tinyvae.check.problems import bound_problems, default_problems
from tinyvae.distributions import DiagonalGaussian
from tinyvae.estimators.contract import checked_draws
from tinyvae.noise import independent
from tinyvae.objectives import PLAIN
from tinyvae.variance.replicates import warmed


PILOT, FEWEST, CALLS = 10_000, 40_000, 20_000  # replicates: of the pilot run; of the test, at least; one by one, or of f
MARGIN = 1.4  # in the number of draws: the pilot may have missed the tail
ROUNDING = 1e-10  # of the draws' size: a mean without variance may miss the exact gradient by this much
WARMUP = 200  # calls and updates, for an estimator that learns


class Tested(NamedTuple):
    """One hypothesis, "this coordinate is unbiased": numbers in the gradient's own units, or, where the coordinate is "f", nats.

    scale: ||exact gradient|| of this data point, to which relative biases refer, or f's root mean square; bias: mean - exact;
    standard_error: of the bias; threshold: the bias is significant beyond it; detectable: the smallest bias found with the
    stated power.
    """

    problem: str
    n_samples: int
    point: int
    coordinate: str
    exact: float
    bias: float
    standard_error: float
    threshold: float
    detectable: float
    scale: float
    n_draws: int

    @property
    def passed(self):
        return abs(self.bias) <= self.threshold


@dataclass(frozen=True, repr=False)
class Certificate:
    """The result of `unbiased`. tests: list of Tested, a coordinate each; skipped: the S that the estimator refused.

    passed: no test failed; powerful: each would have found the stated relative bias with the stated power.
    """

    name: str
    level: float
    power: float
    bias: float
    tests: list
    skipped: list

    @property
    def failures(self):
        """The failed tests, the most significant first."""
        return sorted((t for t in self.tests if not t.passed), key=lambda t: -abs(t.bias) / t.threshold)

    @property
    def passed(self):
        return not self.failures

    @property
    def weak(self):
        """The tests that reached the budget before the stated power."""
        return [t for t in self.tests if t.detectable > self.bias * t.scale]

    @property
    def powerful(self):
        return not self.weak

    def __bool__(self):
        return self.passed

    def assert_passed(self):
        """Raise AssertionError with the report unless the certificate is passed; else return it."""
        if not self.passed:
            raise AssertionError(self.report())
        return self

    def report(self):
        """What was tested, what failed (target, coordinate, size of the bias), what was tested weakly.

        All the intervals of the biases hold together with probability 1 - level.
        """
        n_problems = len({t.problem for t in self.tests})
        sizes = ", ".join(str(s) for s in sorted({t.n_samples for t in self.tests}))
        verdict = "no bias found" if self.passed else "BIASED"
        lines = [
            f"{self.name}: {verdict}. {sum(t.coordinate != 'f' for t in self.tests)} coordinates of {n_problems} problem{'s' * (n_problems > 1)}, and f; S = {sizes}",
            f"  a correct estimator fails with probability {self.level:g} at most, over all coordinates together",
        ]
        if self.skipped:
            lines.append(f"  S = {', '.join(map(str, self.skipped))} refused by the estimator")
        lines += self._failed() + self._weakness()
        return "\n".join(lines)

    __repr__ = __str__ = report

    def _failed(self):
        lines = []
        for t in self.failures[:10]:
            low, high = ((t.bias + sign * t.threshold) / t.scale for sign in (-1, 1))
            what, whose = ("f, the loss", "its size") if t.coordinate == "f" else (f"d/d{t.coordinate}", "the gradient's norm")
            lines.append(
                f"  {t.problem}, S = {t.n_samples}, point {t.point}, {what}: "
                f"exact {t.exact:.6g}, mean {t.exact + t.bias:.6g}; "
                f"bias {t.bias / t.scale:+.1%} of {whose}, between {low:+.1%} and {high:+.1%}"
            )
        hidden = len(self.failures) - 10
        return lines + [f"  and {hidden} more"] * (hidden > 0)

    def _weakness(self):
        size = f"{self.bias:.3g} times the gradient's norm"
        promise = f"a bias of {size} in a coordinate would be found with probability {self.power:g}"
        if self.powerful:
            return [f"  {promise}"]
        lines = [f"  {promise}, except, for the budget of draws:"]
        worst = {}
        for t in self.weak:
            key = t.problem, t.n_samples
            worst[key] = max(worst.get(key, 0.0), t.detectable / t.scale)
        return lines + [f"    {name}, S = {n}: {relative:.3g} or more" for (name, n), relative in worst.items()]


def unbiased(estimator, problems=None, n_samples=(1, 2, 8), level=0.01, power=0.99, bias=0.1, max_draws=1_000_000, seed=0):
    """Test the hypothesis that an estimator's mean equals the exact gradient, in every coordinate of every problem.

    Its f, which training reports as the loss, is tested against the exact mean, too, on one problem for each S.

    estimator: a name or a callable (q, target, eps, objective, rng) -> Draws. problems: a list of Problem, or None for
    `check.default_problems()`, and for an estimator that refuses these, `check.bound_problems()`. n_samples: the S to try; one
    that the estimator refuses with a ValueError is skipped and named. One that learns (it has `update`) learns first, by 200
    calls and updates on each problem.
    level: the probability, at most, that a correct estimator fails, over all coordinates together (Bonferroni).
    bias, power: a coordinate whose bias is `bias` times the norm of its data point's exact gradient is to be found with
    probability `power`. A pilot run tells from the standard deviations alone how many replicates this takes; the
    test then uses fresh ones, from 40,000 to max_draws a problem. Where max_draws is not enough, the report says so.

    The statistic is a mean over so many independent replicates that it is normal far into the tail: the
    score function's draws are skewed, and with a few hundred the level would not hold. Hence max_draws is 40,000 at least.

    Replicates lie side by side on the batch axis. An estimator whose draws for a data point depend on who else is in the batch
    (a baseline from the batch's mean) would hide its bias among so many; for each S where a trial shows it, or where it
    draws more than eps, 20,000 calls with the problem's few data points alone are tested too.

    Returns a Certificate. In a test suite: `check.unbiased(mine).assert_passed()`.
    Raises ValueError or TypeError for input that does not fit, or if every S is refused.
    """
    validate.number("level", level, least=0, most=1, open_least=True)
    validate.number("power", power, least=0.5, most=0.999999)
    validate.number("bias", bias, least=0, open_least=True)
    validate.integer("max_draws", max_draws, least=FEWEST)
    validate.integer("seed", seed, least=0)
    n_samples = tuple(validate.integer("each of n_samples", s, least=1) for s in n_samples)
    registry.resolve(estimator)
    suite, accepted, skipped = _suite(estimator, problems, n_samples)
    cases = [(p, s, _moments) for p in suite for s in accepted if p.n_samples in (None, s)]
    if not cases:
        raise ValueError("problems and n_samples must not be empty, and a problem's own n_samples must be among those tried")
    firsts = {s: p for p, s, _ in reversed(cases)}
    for s, p in firsts.items():
        if _mixes_points(estimator, p, s):
            cases.append((p._replace(name=f"{p.name}, {len(p.gradient)} points a call"), s, _moments_of_calls))
    losses = [(s, p) for s, p in firsts.items() if p.loss is not None]
    m = sum(p.gradient.size for p, _, _ in cases) + sum(len(p.loss) for _, p in losses)
    z_level, z_power = _normal_quantile(1 - level / (2 * m)), _normal_quantile(power)
    seeds = np.random.SeedSequence(seed).generate_state(2 * (len(cases) + len(losses))).reshape(-1, 2)
    tests = []
    for (p, s, moments), child in zip(cases, seeds):
        scale = np.linalg.norm(p.gradient, axis=1)[:, None]  # B, 1
        scale[scale == 0] = 1.0  # nothing to refer to: absolute
        n_draws = CALLS
        if moments is _moments:
            _, std, _ = _moments(estimator, p, s, PILOT, child[0])
            wanted = float(np.max(((z_level + z_power) * std / (bias * scale)) ** 2))
            n_draws = int(min(max(MARGIN * wanted, FEWEST), max_draws))
        mean, std, rounding = moments(estimator, p, s, n_draws, child[1])
        tests += _tests(p, s, n_draws, p.gradient, mean, std / math.sqrt(n_draws), rounding, z_level, z_power, scale, _names(p))
    for (s, p), child in zip(losses, seeds[len(cases) :]):
        mean, std = _moments_of_loss(estimator, p, s, child[0])
        scale = np.sqrt(mean**2 + s * std**2)
        tests += _tests(p, s, CALLS, p.loss[:, None], mean, std / math.sqrt(CALLS), ROUNDING * (np.abs(mean) + std), z_level, z_power, scale, ["f"])
    name = estimator if isinstance(estimator, str) else getattr(estimator, "__name__", type(estimator).__name__)
    return Certificate(name, level, power, bias, tests, skipped)


def _suite(estimator, problems, n_samples):
    """The problems, and which S of them the estimator takes and refuses."""
    suites = [default_problems, lambda: bound_problems(n_samples)] if problems is None else [lambda: list(problems)]
    refusal = None
    for make in suites:
        suite = make()
        if not suite or not n_samples:
            return suite, [], []
        try:
            return suite, *_accepted(estimator, suite[0], n_samples)
        except ValueError as error:
            refusal = refusal or error
    raise refusal


def _accepted(estimator, first, n_samples):
    """Which S the estimator takes, and which it refuses; a result that is no Draws of finite numbers is an error."""
    accepted, skipped = [], []
    for s in n_samples:
        eps = first.q.noise(np.random.default_rng(0), s)
        function = copy.deepcopy(registry.resolve(estimator))
        try:
            draws = function(first.q, first.target, eps, first.objective, np.random.default_rng(0))
        except ValueError as error:
            skipped.append(s)
            refusal = error
            continue
        validate.check_finite("the estimator's dparams", checked_draws(draws, eps).dparams)
        accepted.append(s)
    if not accepted:
        raise ValueError(f"the estimator refused every S of {list(n_samples)}: {refusal}") from refusal
    return accepted, skipped


def _moments(estimator, p, n_samples, n_draws, seed):
    """Mean and standard deviation of a replicate, (B, 2K) each, and the rounding that their size allows."""
    own = _own(estimator, p, n_samples)
    reports = variance.measure_target(p.q, p.target, [own], p.objective, n_draws, n_samples, int(seed), n_timings=0)
    (report,) = reports.values()
    mean, std = (np.concatenate([part["mu"], part["logvar"]], axis=1) for part in (report.mean, report.variance))
    return mean, np.sqrt(std), _rounding(p, mean, np.sqrt(std))


def _moments_of_calls(estimator, p, n_samples, n_draws, seed):
    """The same, a replicate a call."""
    draw = _caller(_own(estimator, p, n_samples), p)
    rng = np.random.default_rng(seed)
    estimates = np.stack([draw(p.q.noise(rng, n_samples), rng).mean(axis=0) for _ in range(n_draws)])  # R, B, 2K
    mean, std = estimates.mean(axis=0), estimates.std(axis=0, ddof=1)
    return mean, std, _rounding(p, mean, std)


def _mixes_points(estimator, p, n_samples):
    """Whether the draws for a data point change with what else is in the batch."""
    rows = len(p.gradient)
    eps = DiagonalGaussian.from_params(np.tile(p.q.params, (2, 1))).noise(np.random.default_rng(0), n_samples)  # S, 2B, K
    own = _own(estimator, p, n_samples)
    alone = _caller(own, p)(eps[:, :rows].copy(), np.random.default_rng(0))
    among = _caller(own, p, copies=2)(eps, np.random.default_rng(0))[:, :rows]
    return not np.allclose(alone, among, rtol=1e-9, atol=1e-9 * np.abs(alone).max())


def _moments_of_loss(estimator, p, n_samples, seed):
    """Mean and standard deviation of f's mean over the samples, (B, 1) each, from CALLS replicates in one call."""
    eps_rng, own_rng = np.random.default_rng(seed).spawn(2)
    q = DiagonalGaussian.from_params(np.tile(p.q.params, (CALLS, 1)))
    target = variance.folded(p.target, len(p.gradient))
    draws = _own(estimator, p, n_samples)(q, target, q.noise(eps_rng, n_samples), p.objective or PLAIN, own_rng)
    f = np.asarray(draws.f, "float64").mean(axis=0).reshape(CALLS, -1, 1)  # R, B, 1
    return f.mean(axis=0), f.std(axis=0, ddof=1)


def _own(estimator, p, n_samples):
    """A copy of the estimator without memory of other problems; one that learns has learnt on this one."""
    own = copy.deepcopy(registry.resolve(estimator))
    warmed({"own": own}, ["own"], [(p.q, p.target)], p.objective or PLAIN, independent, n_samples, WARMUP, 0)
    return own


def _caller(own, p, copies=1):
    """A function (eps, rng) -> dparams of the problem, so many copies of its data points side by side."""
    own = copy.deepcopy(own)  # a call may change it
    q = DiagonalGaussian.from_params(np.tile(p.q.params, (copies, 1)))
    target = variance.folded(p.target, len(p.gradient))
    return lambda eps, rng: own(q, target, eps, p.objective or PLAIN, rng).dparams


def _rounding(p, mean, std):
    return ROUNDING * (np.abs(p.gradient) + np.abs(mean) + std)


def _names(p):
    n = p.q.mu.shape[1]
    return [f"mu[{k}]" for k in range(n)] + [f"logvar[{k}]" for k in range(n)]


def _tests(p, n_samples, n_draws, exact, mean, error, rounding, z_level, z_power, scale, names):
    """A Tested for each element of the exact values (B, n) and the means of their estimates."""
    threshold = z_level * error + rounding
    columns = exact, mean - exact, error, threshold, threshold + z_power * error
    return [
        Tested(p.name, n_samples, b, names[k], *(float(a[b, k]) for a in columns), float(scale[b, 0]), n_draws)
        for b in range(len(mean))
        for k in range(len(names))
    ]


def _normal_quantile(probability):
    from scipy.special import ndtri

    return float(ndtri(probability))
