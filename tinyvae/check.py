"""Check gradients: finite differences for what is deterministic, quadrature for what is an expectation over a few
latents, and a certificate of unbiasedness for what is random. All of it fits into a reader's own test suite."""

import copy
import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinyvae import estimators as registry
from tinyvae import validate, variance
from tinyvae.distributions import DiagonalGaussian
from tinyvae.estimators import Target
from tinyvae.estimators.contract import checked_draws
from tinyvae.objectives import ELBO, PLAIN, ImportanceWeighted, Integrand

# --- finite differences -----------------------------------------------------------------------------------


class GradientCheck(NamedTuple):
    """labels, analytic and numeric derivatives, one a tested direction; error: the largest difference over ||gradient||."""

    labels: list
    analytic: np.ndarray
    numeric: np.ndarray
    error: float

    def __str__(self):
        order = np.argsort(-np.abs(self.analytic - self.numeric))
        lines = [f"{'':>16} {'analytic':>18} {'numeric':>18} {'difference':>12}"]
        for i in order:
            a, n = self.analytic[i], self.numeric[i]
            lines.append(f"{self.labels[i]:>16} {a:18.10g} {n:18.10g} {a - n:12.2e}")
        return "\n".join(lines)


def gradients(function, theta, n_coordinates=20, n_directions=3, tolerance=1e-7, seed=0):
    """Compare a function's gradient with central differences, in float64.

        g'v = [8 (f(theta + h v) - f(theta - h v)) - (f(theta + 2h v) - f(theta - 2h v))] / (12 h) + O(h^4)

    function: theta (P,) -> (value, gradient (P,)), deterministic (fix the noise); theta: (P,), float64. v runs through
    n_coordinates random coordinates (all of them if P is smaller) and n_directions Gaussian vectors, which feel
    every coordinate. For a model whose parameters live inside it:

        def f(theta):
            vae.theta[:] = theta
            return vae.loss_and_grads(x, eps)
        check.gradients(f, vae.theta)

    Returns a GradientCheck. theta is as before afterwards, and so is the model: the last call is at theta.
    Raises AssertionError with both numbers side by side, worst first, if any differs by more than tolerance ||gradient||;
    TypeError unless theta is float64. A kink (relu) closer than 5e-5 to theta raises too: choose another point.
    """
    theta = np.asarray(theta)
    if theta.dtype != np.float64:
        raise TypeError(f"theta must be float64, got {theta.dtype}: differences need it; build the model with dtype='float64'")
    validate.array("theta", theta, ("P",))
    validate.number("tolerance", tolerance, least=0)
    rng = np.random.default_rng(validate.integer("seed", seed, least=0))
    labels, directions = _directions(rng, theta, n_coordinates, n_directions)
    start = theta.copy()
    try:
        numeric = np.array([_slope(function, start, v) for v in directions])
    finally:
        _, gradient = function(start.copy())
        gradient = np.array(gradient)  # a copy: the function may reuse its array
        theta[...] = start
    validate.array("function's gradient", gradient, theta.shape, "float64")
    analytic = np.array([gradient @ v for v in directions])
    norm = np.linalg.norm(gradient)
    worst = np.abs(analytic - numeric).max(initial=0.0)
    error = float(worst / norm) if norm else math.inf if worst > tolerance else 0.0
    result = GradientCheck(labels, analytic, numeric, error)
    if not error <= tolerance:
        found = f"the gradient differs from central differences by {error:.2e} of its norm, more than {tolerance:g}"
        raise AssertionError(f"{found}\n{result}")
    return result


def _directions(rng, theta, n_coordinates, n_directions):
    size = len(theta)
    n_coordinates = min(size, validate.integer("n_coordinates", n_coordinates, least=0))
    n_directions = validate.integer("n_directions", n_directions, least=0)
    coordinates = np.sort(rng.choice(size, n_coordinates, replace=False))
    labels = [f"theta[{i}]" for i in coordinates] + [f"direction {i}" for i in range(n_directions)]
    units = [np.eye(1, size, i)[0] for i in coordinates]
    return labels, units + list(rng.standard_normal((n_directions, size)))


def _slope(function, theta, v):
    """The derivative along v. h = 4 eps^(1/3), in units of theta where that is large: rounding and h^4 both stay small."""
    h = 4 * np.finfo("float64").eps ** (1 / 3) * max(1.0, np.linalg.norm(theta * v) / np.linalg.norm(v))

    def value(steps):
        return float(function(theta + steps * h * v)[0])

    return (8 * (value(1) - value(-1)) - (value(2) - value(-2))) / (12 * h)


# --- quadrature -------------------------------------------------------------------------------------------


def gauss_hermite(n_nodes, n_latents):
    """Nodes and weights with sum_i w_i f(eps_i) = E[f(eps)], eps ~ N(0, I).

    Exact for polynomials of degree up to 2 n_nodes - 1 in each latent. Returns eps (n_nodes^n_latents, n_latents)
    and weights (n_nodes^n_latents,), float64. Source: Golub & Welsch 1969.
    """
    validate.integer("n_nodes", n_nodes, least=1)
    validate.integer("n_latents", n_latents, least=1)
    x, w = np.polynomial.hermite_e.hermegauss(n_nodes)
    grid = np.meshgrid(*[x] * n_latents, indexing="ij")
    weights = np.ones(1)
    for _ in range(n_latents):
        weights = np.multiply.outer(weights, w / w.sum()).ravel()
    return np.stack([g.ravel() for g in grid], axis=1), weights


def exact_gradient(q, target, objective=None, n_nodes=32, n_samples=1):
    """d E_q[l(z)] / d [mu, logvar] by quadrature, from values of f alone: what an estimator must give on average.

        dE/dmu = E[l eps] / std,   dE/dlogvar = E[l (eps^2 - 1)] / 2

    q: DiagonalGaussian, float64, of one to three latents; target: Target; objective: None, an ELBO, whose
    sampled KL, taken in closed form here, belongs to l (an analytic KL is not the estimator's business), or
    ImportanceWeighted, whose bound, and it alone, depends on n_samples.
    Returns (B, 2K). Raises TypeError or ValueError for input that does not fit.
    """
    _quadrature_fits(q, objective)
    if isinstance(objective, ImportanceWeighted):
        return _bound_gradient(q, target, objective, n_nodes, validate.integer("n_samples", n_samples, least=1))
    nodes, weights = gauss_hermite(n_nodes, q.mu.shape[1])
    eps = nodes[:, None, :]  # N, 1, K
    f = target(q.mu + q.std * eps)[..., None] * weights[:, None, None]  # N, B, 1
    dmu, dlogvar = (f * eps).sum(axis=0) / q.std, (f * (eps * eps - 1)).sum(axis=0) / 2  # B, K
    beta = (objective or PLAIN).sampled_kl
    return np.concatenate([dmu + beta * q.mu, dlogvar + beta * (q.std**2 - 1) / 2], axis=1)


def _bound_gradient(q, target, objective, n_nodes, n_samples):
    """d/dlambda of L = -E[log 1/S sum_s w_s], w = exp(-l), for any S by quadrature over one sample only.

    log y = int_0^inf (e^-t - e^(-t y)) dt / t, hence with phi(t) = E[e^(-t w)], independent samples, and u = log t

        dL/dlambda = int S phi^(S-1) dphi/dlambda du,   dphi/dlambda = E[e^(-t w) (1 + t w) dlog q/dlambda],

    since log w has -dlog q/dlambda as its explicit derivative. The scale of w does not matter: its maximum is set to 1.
    The integrand is analytic for |Im u| < pi / 2, so that the trapezoidal rule with steps of 1/3 is exact to rounding.
    """
    nodes, weights = gauss_hermite(n_nodes, q.mu.shape[1])
    nodes, weights = nodes[weights > 1e-30], weights[weights > 1e-30]  # far nodes would stretch the integral for nothing
    z = q.mu + q.std * nodes[:, None, :]  # N, B, K
    losses, score = Integrand(q, target, objective)(z), q.score(z)  # N, B; N, B, 2K
    gradient = np.zeros_like(q.params)
    spread = float((losses.max(axis=0) - losses.min(axis=0)).max())  # until t w is large at the node with the least w
    if not spread < 1e5:
        raise ValueError(f"the losses must differ by less than 1e5 nats over q, got {spread:.3g}: the bound's quadrature would take too long")
    for u in np.arange(-75, 3 * np.ceil(spread + 5)) / 3:
        tw = np.exp(np.minimum(u + losses.min(axis=0) - losses, 700))  # N, B
        decay = weights[:, None] * np.exp(-tw)  # N, B
        slope = np.einsum("nb,nbk->bk", decay * (1 + tw), score)
        gradient += n_samples / 3 * decay.sum(axis=0)[:, None] ** (n_samples - 1) * slope
    return gradient


def exact_mean(estimator, q, target, objective=None, n_samples=1, n_nodes=20, rng=None):
    """An estimator's expectation and variance by quadrature: two arrays, (B, 2K) each.

    The nodes stand for the noise of a whole n_samples estimate: a product grid over n_samples * K dimensions, laid out
    as n_nodes^(n_samples K) replicates on the batch axis, so that samples that look at each other (leave-one-out)
    see independent ones. An unbiased estimator's mean equals `exact_gradient`, to rounding for polynomials.

    estimator: a name or a callable that draws nothing but eps; the rest as in `exact_gradient`.
    Raises ValueError where the grid would exceed 10 million numbers.
    """
    _quadrature_fits(q, objective, most=10)
    rows, n_latents = q.mu.shape
    n_grid = validate.integer("n_nodes", n_nodes, least=1) ** (validate.integer("n_samples", n_samples, least=1) * n_latents)
    if n_grid * rows * n_samples * n_latents > 10_000_000:
        raise ValueError(f"the grid has {n_nodes}^({n_samples} * {n_latents}) nodes: take fewer nodes, samples or latents")
    nodes, weights = gauss_hermite(n_nodes, n_samples * n_latents)
    eps = nodes.reshape(n_grid, n_samples, 1, n_latents).transpose(1, 0, 2, 3)  # S, N, 1, K
    eps = np.ascontiguousarray(np.broadcast_to(eps, (n_samples, n_grid, rows, n_latents))).reshape(n_samples, -1, n_latents)
    tiled = DiagonalGaussian.from_params(np.tile(q.params, (n_grid, 1)))
    draws = registry.resolve(estimator)(tiled, variance.folded(target, rows), eps, objective, rng)
    estimates = draws.dparams.mean(axis=0).reshape(n_grid, rows, -1)  # N, B, 2K
    mean = np.einsum("n,nbk->bk", weights, estimates)
    return mean, np.einsum("n,nbk->bk", weights, np.square(estimates - mean))


def _quadrature_fits(q, objective, most=3):
    if not isinstance(q, DiagonalGaussian) or q.dtype != np.float64:
        raise TypeError("q must be a DiagonalGaussian in float64: quadrature is exact to rounding")
    if q.mu.shape[1] > most:
        raise ValueError(f"quadrature is for at most {most} latents, got {q.mu.shape[1]}")
    if objective is not None and not isinstance(objective, (ELBO, ImportanceWeighted)):
        raise TypeError(f"objective must be None, an ELBO or ImportanceWeighted, got {objective!r}")


# --- the certificate --------------------------------------------------------------------------------------


class Problem(NamedTuple):
    """One expectation whose gradient is known: gradient (B, 2K) = d E_q[l] / d [mu, logvar].

    n_samples: the S for which it is the gradient; None for any, as with all but the importance-weighted bound.
    """

    name: str
    q: DiagonalGaussian
    target: Target
    objective: object
    gradient: np.ndarray
    n_samples: object = None


def problem(name, q, target, objective=None, n_nodes=64, n_samples=None):
    """A Problem whose gradient comes from `exact_gradient`. n_samples: S, for ImportanceWeighted."""
    return Problem(name, q, target, objective, exact_gradient(q, target, objective, n_nodes, n_samples or 1), n_samples)


@functools.cache  # the quadrature takes longer than a small test
def default_problems():
    """The certificate's own problems, in float64, two data points each: a tuple of Problem.

    Smooth, bounded, wiggly, coupled, sampled KL; large offset and large scale betray a learning signal that was clipped or
    normalised; standard deviations away from 1 betray a log-variance read as something else.
    """
    one = DiagonalGaussian(np.array([[0.6], [-0.4]]), np.array([[0.5], [-1.0]]))
    two = DiagonalGaussian(np.array([[0.6, -0.3], [-0.5, 0.8]]), np.array([[0.5, -0.8], [-0.6, 0.3]]))
    three = DiagonalGaussian(np.array([[0.9, -0.8, 0.7], [0.8, 0.9, -1.0]]), np.array([[-0.5, 0.3, -0.8], [0.2, -0.7, -0.4]]))
    away = np.array([[2.0], [-1.5]])  # B, 1: each data point has its own bowl

    def bowl(scale, offset=0.0):
        return Target(lambda z: offset + scale * ((z - away) ** 2).sum(axis=2), lambda z: 2 * scale * (z - away))

    bump = Target(lambda z: np.exp(-(z**2)).sum(axis=2), lambda z: -2 * z * np.exp(-(z**2)))
    wave = Target(lambda z: np.cos(1.5 * z).sum(axis=2), lambda z: -1.5 * np.sin(1.5 * z))
    valley = Target(
        lambda z: (z.sum(axis=2) - 1.5) ** 2, lambda z: np.broadcast_to(2 * (z.sum(axis=2, keepdims=True) - 1.5), z.shape)
    )
    product = Target(
        lambda z: z.prod(axis=2), lambda z: np.stack([np.delete(z, k, axis=2).prod(axis=2) for k in range(3)], axis=2)
    )
    return (
        problem("quadratic", one, bowl(1.0)),
        problem("bump exp(-z^2)", one, bump),
        problem("cosine", one, wave),
        problem("quadratic + 1000", one, bowl(100.0, offset=1000.0)),
        problem("10000 x quadratic", one, bowl(1e4)),
        problem("coupled (z1 + z2 - 1.5)^2", two, valley),
        problem("product z1 z2 z3", three, product),
        problem("coupled, sampled KL", two, valley, ELBO(kl="monte_carlo")),
        problem("quadratic, sampled KL, beta 3", one, bowl(0.5), ELBO(beta=3.0, kl="monte_carlo")),
    )


@functools.cache
def bound_problems(n_samples=(1, 2, 8)):
    """The certificate's problems for estimators of the importance-weighted bound's gradient, which depends on S.

    z ~ N(0, I): a Gaussian observation, whose posterior is known; a logistic one; a narrow one with a large offset, whose
    weights underflow if they are not scaled; a coupled one of two latents.
    """
    one = DiagonalGaussian(np.array([[1.0], [0.3]]), np.array([[-0.4], [-0.1]]))
    two = DiagonalGaussian(np.array([[0.6, -0.3], [-0.5, 0.8]]), np.array([[0.1, -0.4], [-0.3, 0.2]]))
    x = np.array([[-0.5], [1.0]])  # B, 1

    def bowl(scale, offset=0.0):
        return Target(lambda z: offset + scale * ((z - x) ** 2).sum(axis=2), lambda z: 2 * scale * (z - x))

    logistic = Target(lambda z: np.logaddexp(0, 2 * (x - z)).sum(axis=2), lambda z: -2 / (1 + np.exp(2 * (z - x))))
    valley = Target(
        lambda z: (z.sum(axis=2) - 1.5) ** 2 / 2, lambda z: np.broadcast_to(z.sum(axis=2, keepdims=True) - 1.5, z.shape)
    )
    targets = (
        ("bound, Gaussian", one, bowl(0.5)),
        ("bound, logistic", one, logistic),
        ("bound, narrow + 1000", one, bowl(1.5, offset=1000.0)),
        ("bound, coupled", two, valley),
    )
    return tuple(
        problem(name, q, target, ImportanceWeighted(), 128 if q is one else 32, s) for name, q, target in targets for s in n_samples
    )


class Tested(NamedTuple):
    """One hypothesis, "this coordinate is unbiased": numbers in the gradient's own units.

    scale: ||exact gradient|| of this data point, to which relative biases refer; bias: mean - exact; standard_error: of
    the bias; threshold: the bias is significant beyond it; detectable: the smallest bias found with the stated power.
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
            f"{self.name}: {verdict}. {len(self.tests)} coordinates of {n_problems} problems, S = {sizes}",
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
            lines.append(
                f"  {t.problem}, S = {t.n_samples}, point {t.point}, d/d{t.coordinate}: "
                f"exact {t.exact:.6g}, mean {t.exact + t.bias:.6g}; "
                f"bias {t.bias / t.scale:+.1%} of the gradient's norm, between {low:+.1%} and {high:+.1%}"
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

    estimator: a name or a callable (q, target, eps, objective, rng) -> Draws. problems: a list of Problem, or None for
    `check.default_problems()`, and for an estimator that refuses these, `check.bound_problems()`. n_samples: the S to try; one that the estimator refuses with a ValueError is skipped and named.
    level: the probability, at most, that a correct estimator fails, over all coordinates together (Bonferroni).
    bias, power: a coordinate whose bias is `bias` times the norm of its data point's exact gradient is to be found with
    probability `power`. A pilot run tells from the standard deviations alone how many replicates this takes; the
    test then uses fresh ones, from 40,000 to max_draws a problem. Where max_draws is not enough, the report says so.

    The statistic is a mean over so many independent replicates that it is normal far into the tail: the
    score function's draws are skewed, and with a few hundred the level would not hold.

    Replicates lie side by side on the batch axis. An estimator whose draws for a data point depend on who else is in the batch
    (a baseline from the batch's mean) would hide its bias among so many; where a trial shows it, or where it draws
    more than eps, 20,000 calls with the problem's few data points alone are tested too.

    Returns a Certificate. In a test suite: `check.unbiased(mine).assert_passed()`.
    Raises ValueError or TypeError for input that does not fit, or if every S is refused.
    """
    validate.number("level", level, least=0, most=1, open_least=True)
    validate.number("power", power, least=0.5, most=0.999999)
    validate.number("bias", bias, least=0, open_least=True)
    validate.integer("max_draws", max_draws, least=2)
    validate.integer("seed", seed, least=0)
    n_samples = tuple(validate.integer("each of n_samples", s, least=1) for s in n_samples)
    registry.resolve(estimator)
    suite, accepted, skipped = _suite(estimator, problems, n_samples)
    cases = [(p, s, _moments) for p in suite for s in accepted if p.n_samples in (None, s)]
    if not cases:
        raise ValueError("problems and n_samples must not be empty, and a problem's own n_samples must be among those tried")
    p, s, _ = min(cases, key=lambda case: case[1])
    if _mixes_points(estimator, p, s):
        cases.append((p._replace(name=f"{p.name}, {len(p.gradient)} points a call"), s, _moments_of_calls))
    m = sum(p.gradient.size for p, _, _ in cases)
    z_level, z_power = _normal_quantile(1 - level / (2 * m)), _normal_quantile(power)
    tests = []
    for (p, s, moments), child in zip(cases, np.random.SeedSequence(seed).generate_state(2 * len(cases)).reshape(-1, 2)):
        scale = np.linalg.norm(p.gradient, axis=1)[:, None]  # B, 1
        scale[scale == 0] = 1.0  # nothing to refer to: absolute
        n_draws = min(_CALLS, max_draws)
        if moments is _moments:
            _, std, _ = _moments(estimator, p, s, _PILOT, child[0])
            wanted = float(np.max(((z_level + z_power) * std / (bias * scale)) ** 2))
            n_draws = int(min(max(_MARGIN * wanted, _FEWEST), max_draws))
        mean, std, rounding = moments(estimator, p, s, n_draws, child[1])
        tests += _tests(p, s, n_draws, mean, std / math.sqrt(n_draws), rounding, z_level, z_power, scale)
    name = estimator if isinstance(estimator, str) else getattr(estimator, "__name__", type(estimator).__name__)
    return Certificate(name, level, power, bias, tests, skipped)


_PILOT, _FEWEST, _CALLS = 10_000, 40_000, 20_000
_MARGIN = 1.4  # in the number of draws: the pilot may have missed the tail
_ROUNDING = 1e-10  # of the draws' size: a mean without variance may miss the exact gradient by this much


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
    own = estimator if isinstance(estimator, str) else copy.deepcopy(estimator)  # no memory of other problems
    reports = variance.measure_target(p.q, p.target, [own], p.objective, n_draws, n_samples, int(seed), n_timings=0)
    (report,) = reports.values()
    mean, std = (np.concatenate([part["mu"], part["logvar"]], axis=1) for part in (report.mean, report.variance))
    return mean, np.sqrt(std), _rounding(p, mean, np.sqrt(std))


def _moments_of_calls(estimator, p, n_samples, n_draws, seed):
    """The same, a replicate a call."""
    draw = _caller(estimator, p)
    rng = np.random.default_rng(seed)
    estimates = np.stack([draw(p.q.noise(rng, n_samples), rng).mean(axis=0) for _ in range(n_draws)])  # R, B, 2K
    mean, std = estimates.mean(axis=0), estimates.std(axis=0, ddof=1)
    return mean, std, _rounding(p, mean, std)


def _mixes_points(estimator, p, n_samples):
    """Whether the draws for a data point change with what else is in the batch."""
    rows = len(p.gradient)
    eps = DiagonalGaussian.from_params(np.tile(p.q.params, (2, 1))).noise(np.random.default_rng(0), n_samples)  # S, 2B, K
    alone = _caller(estimator, p)(eps[:, :rows].copy(), np.random.default_rng(0))
    among = _caller(estimator, p, copies=2)(eps, np.random.default_rng(0))[:, :rows]
    return not np.allclose(alone, among, rtol=1e-9, atol=1e-9 * np.abs(alone).max())


def _caller(estimator, p, copies=1):
    """A function (eps, rng) -> dparams of the problem, so many copies of its data points side by side."""
    own = copy.deepcopy(registry.resolve(estimator))  # no memory of other problems
    q = DiagonalGaussian.from_params(np.tile(p.q.params, (copies, 1)))
    target = variance.folded(p.target, len(p.gradient))
    return lambda eps, rng: own(q, target, eps, p.objective or PLAIN, rng).dparams


def _rounding(p, mean, std):
    return _ROUNDING * (np.abs(p.gradient) + np.abs(mean) + std)


def _tests(p, n_samples, n_draws, mean, error, rounding, z_level, z_power, scale):
    n = p.q.mu.shape[1]
    names = [f"mu[{k}]" for k in range(n)] + [f"logvar[{k}]" for k in range(n)]
    threshold = z_level * error + rounding
    columns = p.gradient, mean - p.gradient, error, threshold, threshold + z_power * error
    return [
        Tested(p.name, n_samples, b, names[k], *(float(a[b, k]) for a in columns), float(scale[b, 0]), n_draws)
        for b in range(len(mean))
        for k in range(2 * n)
    ]


def _normal_quantile(probability):
    from scipy.special import ndtri

    return float(ndtri(probability))
