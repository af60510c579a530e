"""What a certificate of unbiasedness says: its tests one by one, and a report in words."""

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["LOSS", "SPREAD", "Tested", "Certificate"]

LOSS, SPREAD = "f", "f's spread"  # the coordinates that are not the gradient's
SHOWN = 10  # failures in a report


class Tested(NamedTuple):
    """One hypothesis, "this coordinate is unbiased".

    Numbers are in the gradient's own units; where the coordinate is "f", in nats; where it is "f's spread", how much
    further f spreads than the loss at the same noise, by a second moment that lies between 0 and 1.

    Attributes
    ----------
    problem : str
        The problem's name.
    n_samples : int
        S, the samples a data point.
    point : int
        The data point.
    coordinate : str
        Such as "mu[0]"; "f" or "f's spread".
    exact : float
        What the mean should be.
    bias : float
        Mean - exact.
    standard_error : float
        Of the bias.
    threshold : float
        The bias is significant beyond it.
    detectable : float
        The smallest bias found with the stated power.
    scale : float
        What relative biases refer to: ||exact gradient|| of this data point, f's root mean square, or 1.
    n_draws : int
        Replicates.
    inexact : float
        How far `exact` may itself be off, a part of `threshold`.
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
    inexact: float = 0.0

    @property
    def passed(self):
        """Whether the bias is within the threshold."""
        return abs(self.bias) <= self.threshold

    @property
    def of_loss(self):
        """Whether it is a test of f, its mean or its spread, and not of the gradient."""
        return self.coordinate in (LOSS, SPREAD)

    @property
    def mean(self):
        """What was found, exact + bias."""
        return self.exact + self.bias


@dataclass(frozen=True, repr=False)
class Certificate:
    """The result of `unbiased`; true where no test failed, and no call changed what the next returns.

    Attributes
    ----------
    name : str
        The estimator's.
    level : float
        The probability, at most, that a correct estimator fails.
    power : float
        The probability with which a bias of size `bias` would be found.
    bias : float
        In units of the gradient's norm.
    tests : list of Tested
        A coordinate each.
    refused : dict
        {problem: the S that the estimator refused}.
    perhaps : tuple of str, optional
        Known mistakes that the numbers fit, in words.
    biased : bool, optional
        Whether the estimator says itself that it is biased by design.
    changed : tuple of int, optional
        The S at which the same eps and rng gave something else after other calls. Every test is of an estimator without
        past calls, and says nothing of such a one.
    """

    name: str
    level: float
    power: float
    bias: float
    tests: list
    refused: dict
    perhaps: tuple = ()
    biased: bool = False
    changed: tuple = ()

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
        """Whether no test failed, and no call changed what the next returns."""
        return not self.failures and not self.changed

    @property
    def weak(self):
        """The tests that reached the budget before the stated power."""
        return [t for t in self.tests if t.detectable > self.bias * t.scale]

    @property
    def powerful(self):
        """Whether each test would have found the stated relative bias with the stated power."""
        return not self.weak

    def __bool__(self):
        return self.passed

    def assert_passed(self):
        """Return the certificate, or raise AssertionError with the report unless it is passed."""
        if not self.passed:
            raise AssertionError(self.report())
        return self

    def report(self):
        """What was tested, what failed (target, coordinate, size of the bias), what was tested weakly, a str.

        All the intervals of the biases hold together with probability 1 - level. Lines that begin with "perhaps" name
        known mistakes that fit the numbers.
        """
        n_problems = len({t.problem for t in self.tests})
        n_coordinates = sum(not t.of_loss for t in self.tests)
        sizes = ", ".join(str(s) for s in sorted({t.n_samples for t in self.tests}))
        verdict = "BIASED" if self.failures else "NOT CERTIFIED" if self.changed else "no bias found"
        lines = [
            f"{self.name}: {verdict}. {n_coordinates} coordinates of {n_problems} problem{'s' * (n_problems > 1)}, "
            f"and f, the loss; S = {sizes} samples a data point",
            *(f"  perhaps: {words}" for words in self.perhaps),
            f"  a correct estimator fails with probability {self.level:g} at most, over all coordinates together",
        ]
        if self.changed:
            lines += [
                f"  what it returns changes with its calls, S = {', '.join(map(str, self.changed))}: "
                "for the same eps and rng it must be the same",
                "    what learns must learn in `update`, not in the call; all randomness must come from eps and rng",
            ]
        lines += ["  biased by design, as it says itself"] * self.biased
        if self.skipped:
            lines.append(f"  S = {', '.join(map(str, self.skipped))} refused by the estimator")
        for problem, sizes in self.refused.items():
            if some := [str(s) for s in sizes if s not in self.skipped]:
                lines.append(f"  refused by the estimator, and not tested: {problem}, S = {', '.join(some)}")
        lines += self._failed() + self._weakness()
        if not any(t.problem.startswith("bound") for t in self.tests):
            bits = any(t.problem.startswith("bit") for t in self.tests)
            choices = any(t.problem.startswith("choice") for t in self.tests)
            own = 'latents="binary"' if bits else 'latents="categorical"' if choices else ""
            lines.append(f"  not tested: the importance-weighted bound (problems=check.bound_problems({own}))")
        return "\n".join(lines)

    __repr__ = __str__ = report

    def _failed(self):
        lines = []
        for t in self.failures[:SHOWN]:
            low, high = ((t.bias + sign * t.threshold) / t.scale for sign in (-1, 1))
            what, whose = {
                LOSS: ("f, the loss", "its size"),
                SPREAD: ("f's spread, beyond the loss's at the same noise", "its range"),
            }.get(t.coordinate, (f"d/d{t.coordinate}", "the gradient's norm"))
            lines.append(
                f"  {t.problem}, S = {t.n_samples}, point {t.point}, {what}: exact {t.exact:.6g}, mean {t.mean:.6g}; "
                f"bias {t.bias / t.scale:+.1%} of {whose}, between {low:+.1%} and {high:+.1%}"
            )
        hidden = len(self.failures) - SHOWN
        return lines + [f"  and {hidden} more"] * (hidden > 0)

    def _weakness(self):
        size = f"{self.bias:.3g} times the gradient's norm"
        promise = f"a bias of {size} in a coordinate would be found with probability {self.power:g}"
        if self.powerful:
            return [f"  {promise}"]
        lines = [f"  {promise}, except, for the budget of draws:"]
        worst, inexact = {}, {}
        for t in self.weak:
            key = t.problem, t.n_samples
            worst[key] = max(worst.get(key, 0.0), t.detectable / t.scale)
            inexact[key] = max(inexact.get(key, 0.0), t.inexact / t.scale)
        for (name, n), relative in worst.items():
            own = inexact[name, n]
            why = f", {own:.3g} of it for the exact gradient's own error: more n_nodes" if own > 0.1 * self.bias else ""
            lines.append(f"    {name}, S = {n}: {relative:.3g} or more{why}")
        return lines
