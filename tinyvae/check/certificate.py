"""A certificate of unbiasedness: for what is random."""

import copy
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinyvae import estimators as registry
from tinyvae import validate
from tinyvae.check import trials
from tinyvae.estimators.contract import checked_draws
from tinyvae.problems import alone, bound_problems, default_problems

PILOT, FEWEST, CALLS = (
    10_000,
    40_000,
    20_000,
)  # replicates: of the pilot run; of the test, at least; one by one, or of f
MARGIN = 1.4  # in the number of draws: the pilot may have missed the tail
ROUNDING = 1e-10  # of the draws' size: a mean without variance may miss the exact gradient by this much


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
    """The result of `unbiased`. tests: list of Tested, a coordinate each; refused: {problem: the S that the estimator refused}.

    passed: no test failed; powerful: each would have found the stated relative bias with the stated power.
    """

    name: str
    level: float
    power: float
    bias: float
    tests: list
    refused: dict

    @property
    def skipped(self):
        """The S that were refused throughout."""
        return sorted({s for sizes in self.refused.values() for s in sizes} - {t.n_samples for t in self.tests})

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
        for problem, sizes in self.refused.items():
            if some := [str(s) for s in sizes if s not in self.skipped]:
                lines.append(f"  refused by the estimator, and not tested: {problem}, S = {', '.join(some)}")
        lines += self._failed() + self._weakness()
        if not any(t.problem.startswith("bound") for t in self.tests):
            lines.append("  not tested: the importance-weighted bound (problems=check.bound_problems())")
        return "\n".join(lines)

    __repr__ = __str__ = report

    def _failed(self):
        lines = []
        for t in self.failures[:10]:
            low, high = ((t.bias + sign * t.threshold) / t.scale for sign in (-1, 1))
            what, whose = (
                ("f, the loss", "its size") if t.coordinate == "f" else (f"d/d{t.coordinate}", "the gradient's norm")
            )
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


def unbiased(
    estimator, problems=None, n_samples=(1, 2, 3, 8), level=0.01, power=0.99, bias=0.1, max_draws=1_000_000, seed=0
):
    """Test the hypothesis that an estimator's mean equals the exact gradient, in every coordinate of every problem.

    Its f, which training reports as the loss, is tested against the exact mean, too.

    estimator: a name or a callable (q, target, eps, objective, rng) -> Draws. problems: a list of Problem, or None for
    `check.default_problems()`, and for an estimator that refuses these, `check.bound_problems()`. n_samples: the S to try. What
    the estimator refuses with a ValueError is left out and named. One that learns (it has `update`) learns first, by 200 calls
    and updates on each problem.
    level: the probability, at most, that a correct estimator fails, over all coordinates together (Bonferroni).
    bias, power: a coordinate whose bias is `bias` times the norm of its data point's exact gradient is to be found with
    probability `power`. A pilot run tells from the standard deviations alone how many replicates this takes; the
    test then uses fresh ones, from 40,000 to max_draws a problem. Where max_draws is not enough, the report says so.

    The statistic is a mean over so many independent replicates that it is nearly normal: the score function's draws are
    skewed, and with a few hundred the level would not hold. Hence max_draws is 40,000 at least. Where a single coordinate has
    the heaviest of tails (kurtosis in the hundreds), values beyond 4 standard errors are still several times as frequent as
    normal ones; over the hundred coordinates of the default problems together that does not show.

    Replicates lie side by side on the batch axis. Where a trial shows that an estimator links the data points of a call (a
    baseline from the batch's mean, one random number for all), they would not be independent, and a bias would hide among
    so many: it is tested by 20,000 calls with the problem's few data points, and with one, instead. One that draws more than
    eps is tested so on a problem for each S besides.

    Returns a Certificate. In a test suite: `check.unbiased(mine).assert_passed()`.
    Raises ValueError or TypeError for input that does not fit, or if everything is refused.
    """
    validate.number("level", level, least=0, most=1, open_least=True)
    validate.number("power", power, least=0.5, most=0.999999)
    validate.number("bias", bias, least=0, open_least=True)
    validate.integer("max_draws", max_draws, least=FEWEST)
    validate.integer("seed", seed, least=0)
    n_samples = tuple(validate.integer("each of n_samples", s, least=1) for s in n_samples)
    registry.resolve(estimator)
    cases, refused = _cases(estimator, problems, n_samples)
    m = sum(p.gradient.size + (0 if p.loss is None else len(p.loss)) for p, *_ in cases)
    z_level, z_power = _normal_quantile(1 - level / (2 * m)), _normal_quantile(power)
    tests = []
    for (p, s, trial), child in zip(cases, np.random.SeedSequence(seed).generate_state(3 * len(cases)).reshape(-1, 3)):
        scale = np.linalg.norm(p.gradient, axis=1)[:, None]  # B, 1
        scale[scale == 0] = 1.0  # nothing to refer to: absolute
        n_draws = CALLS
        if trial is trials.side_by_side:
            _, std = trial(estimator, p, s, PILOT, child[0])
            wanted = float(np.max(((z_level + z_power) * std / (bias * scale)) ** 2))
            n_draws = int(min(max(MARGIN * wanted, FEWEST), max_draws))
        mean, std = trial(estimator, p, s, n_draws, child[1])
        tests += _tests(p, s, n_draws, p.gradient, mean, std, z_level, z_power, scale, _names(p))
        if p.loss is not None:
            loss_of = trials.loss_side_by_side if trial is trials.side_by_side else trials.loss_one_by_one
            mean, std = loss_of(estimator, p, s, CALLS, child[2])
            tests += _tests(p, s, CALLS, p.loss[:, None], mean, std, z_level, z_power, p.size[:, None], ["f"])
    return Certificate(registry.name_of(estimator), level, power, bias, tests, refused)


def _cases(estimator, problems, n_samples):
    """[(problem, S, how to draw replicates)], and {problem: the S that the estimator refused}."""
    if problems is not None:
        cases, refused, refusal = _accepted(estimator, list(problems), n_samples)
    else:
        cases, refused, refusal = _accepted(estimator, default_problems(), n_samples)
        if not cases:
            cases, refused_too, _ = _accepted(estimator, bound_problems(n_samples), n_samples)
            refused = refused_too if cases else refused
    if not cases and refused:
        raise ValueError(f"the estimator refused every S of {list(n_samples)}: {refusal}") from refusal
    if not cases:
        raise ValueError(
            "problems and n_samples must not be empty, and a problem's own n_samples must be among those tried"
        )
    found, seen = [], {"linked": set(), "drawing": set()}
    for p, s in cases:
        linked, draws = trials.links_points(estimator, p, s)
        found.append((p, s, trials.one_by_one if linked else trials.side_by_side))
        if linked and s not in seen["linked"]:  # as many data points as the batch has, and one
            seen["linked"].add(s)
            cases_alone, refused_alone, _ = _accepted(estimator, [alone(p, 0)], [s])
            found += [(*case, trials.one_by_one) for case in cases_alone]
            for name, sizes in refused_alone.items():
                refused.setdefault(name, []).extend(sizes)
        if draws and not linked and s not in seen["drawing"]:
            seen["drawing"].add(s)
            found.append((p._replace(name=f"{p.name}, {len(p.gradient)} points a call"), s, trials.one_by_one))
    return found, refused


def _accepted(estimator, problems, n_samples):
    """The (problem, S) that the estimator takes, {problem: S refused}, and the last refusal; a result that is no Draws of
    finite numbers is an error."""
    cases, refused, refusal = [], {}, None
    for p in problems:
        for s in n_samples:
            if p.n_samples not in (None, s):
                continue
            eps = p.q.noise(np.random.default_rng(0), s)
            function = copy.deepcopy(registry.resolve(estimator))
            try:
                draws = function(p.q, p.target, eps.copy(), p.objective, np.random.default_rng(0))
            except ValueError as error:
                refused.setdefault(p.name, []).append(s)
                refusal = error
                continue
            draws = checked_draws(draws, p.q, eps)
            validate.check_finite("the estimator's dparams", draws.dparams)
            validate.check_finite("the estimator's f", draws.f)
            cases.append((p, s))
    return cases, refused, refusal


def _names(p):
    return [f"{name}[{k}]" for name, block in p.q.split(p.q.params[0]).items() for k in range(len(block))]


def _tests(p, n_samples, n_draws, exact, mean, std, z_level, z_power, scale, names):
    """A Tested for each element of the exact values (B, n), of the means of their estimates and the standard deviations."""
    error = std / math.sqrt(n_draws)
    threshold = z_level * error + ROUNDING * (scale + np.abs(mean) + std)
    columns = exact, mean - exact, error, threshold, threshold + z_power * error
    return [
        Tested(p.name, n_samples, b, names[k], *(float(a[b, k]) for a in columns), float(scale[b, 0]), n_draws)
        for b in range(len(mean))
        for k in range(len(names))
    ]


def _normal_quantile(probability):
    from scipy.special import ndtri

    return float(ndtri(probability))
