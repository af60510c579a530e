"""Gradient estimators on functions with a knob: their variances against its shape, and against the dimension."""

import functools
from dataclasses import dataclass

import numpy as np
from scipy import interpolate, optimize, stats

from tinyvae import estimators, variance
from tinyvae.distributions import DiagonalGaussian
from tinyvae.estimators import Draws, Target
from tinyvae.reproduce.rows import Row

__all__ = [
    "TITLE", "SOURCE", "MINUTES", "RECIPES", "WAYS", "FAMILIES", "Settings", "parts", "rows", "figure", "exact",
    "exact_growth", "crossings",
]  # fmt: skip

TITLE = "Which gradient estimator is quieter depends on the function: its shape, its dimension"
SOURCE = "Mohamed, Rosca, Figurnov & Mnih 2020, section 3, mu = sigma = 1"
MINUTES = {"short": 1, "full": 10}
WAYS = {  # how each is called here -> whose colour it has
    "score function": "score_function",
    "score function, baseline E[f]": "constant_baseline",
    "pathwise": "reparameterization",
    "measure-valued": "measure_valued",
}
FAMILIES = {  # f(z; k) and its slope
    "exp(-k z^2)": (lambda z, k: np.exp(-k * z * z), lambda z, k: -2 * k * z * np.exp(-k * z * z)),
    "cos(k z)": (lambda z, k: np.cos(k * z), lambda z, k: -k * np.sin(k * z)),
}
SHOWN = {"exp(-k z^2)": (0.1, 1.0), "cos(k z)": (0.5,)}  # in the table
OFF = 4.0  # of the sum of (z_i + 3)^2, whose best z is so far from mu


@dataclass(frozen=True)
class Settings:
    """A recipe.

    Attributes
    ----------
    exp, cos : tuple of float
        The values of k for the two families.
    dimensions : tuple of int
        For the sum of (z_i + 3)^2.
    n_draws : int
        Gradients a group; a variance is the mean over groups, its interval from how they differ.
    groups : int
        At least two.
    """

    exp: tuple = tuple(np.geomspace(0.1, 10, 21).round(9).tolist())
    cos: tuple = tuple((0.25 * 2 ** np.linspace(0, 4.25, 18)).round(9).tolist())
    dimensions: tuple = (1, 2, 4, 8, 16, 32, 64)
    n_draws: int = 2000
    groups: int = 20


RECIPES = {
    "short": Settings(),
    "full": Settings(n_draws=20_000, groups=50),
    "miniature": Settings(exp=(0.1, 1.0, 3.0), cos=(0.5, 2.0, 4.0), dimensions=(1, 4), n_draws=200, groups=8),
}


def parts(settings, seed):
    """The variances of one sample's gradient: against k, and against the dimension.

    Parameters
    ----------
    settings : Settings
    seed : int
        Of the noise.

    Returns
    -------
    dict
        {name: function(checkpoint)}; none needs the checkpoint.
    """
    shapes = dict(zip(FAMILIES, (settings.exp, settings.cos)))
    return {
        "shape": lambda checkpoint: {name: _shape(name, ks, settings, seed) for name, ks in shapes.items()},
        "dimension": lambda checkpoint: _dimension(settings, seed),
    }


def _shape(family, ks, settings, seed):
    """{"k", block: {way: [[value, low, high] for each k]}}; all k lie side by side."""
    (f, slope), k = FAMILIES[family], np.array(ks)  # B
    q = DiagonalGaussian(np.ones((len(k), 1)), np.zeros((len(k), 1)))
    target = Target(lambda z: f(z[..., 0], k), lambda z: slope(z, k[:, None]))
    means = np.array([exact(family, one)["mean"] for one in ks])
    found = _measured(q, target, means, settings, seed)
    return {"k": ks} | {block: {way: _intervals(one) for way, one in ways.items()} for block, ways in found.items()}


def _dimension(settings, seed):
    """{"dimensions", way: [[value, low, high] for each dimension]}: of d/dmu, the mean over coordinates."""
    found = {way: [] for way in WAYS}
    target = Target(lambda z: ((z + 3) ** 2).sum(axis=2), lambda z: 2 * (z + 3))
    for dimension in settings.dimensions:
        q = DiagonalGaussian(np.ones((1, dimension)), np.zeros((1, dimension)))
        measured = _measured(q, target, np.array([dimension * (OFF**2 + 1)]), settings, seed + dimension)["mu"]
        for way, one in measured.items():
            found[way] += _intervals(one.mean(axis=1, keepdims=True))
    return {"dimensions": settings.dimensions, **found}


def _measured(q, target, means, settings, seed):
    """{"mu" or "sigma": {way: variances (groups, B * K)}}."""

    def with_baseline(q, target, eps, objective=None, rng=None):
        z = q.sample(eps)
        f, baselines = target(z), np.tile(means, z.shape[1] // len(means))  # replicates lie side by side
        return Draws(f, (f - baselines)[..., None] * q.score(z))

    functions = dict(zip(WAYS, ("score_function", with_baseline, "reparameterization", "measure_valued")))
    found = {"mu": {way: [] for way in WAYS}, "sigma": {way: [] for way in WAYS}}
    for group in range(settings.groups):
        given = [estimators.resolve(one) for one in functions.values()]
        seeds = np.random.SeedSequence([seed, group]).generate_state(1)
        reports = variance.measure_target(q, target, given, None, settings.n_draws, 1, int(seeds[0]), n_timings=0)
        for way, report in zip(WAYS, reports.values()):
            found["mu"][way].append(report.variance["mu"].ravel())
            found["sigma"][way].append(4 * report.variance["logvar"].ravel())  # d/dsigma = 2 d/dlogvar at sigma = 1
    return {block: {way: np.array(one) for way, one in ways.items()} for block, ways in found.items()}


def _intervals(groups):
    """[[mean, low, high], ...] of the columns of an array (groups, n): Student's, 95%."""
    mean, n = groups.mean(axis=0), len(groups)
    reach = stats.t.ppf(0.975, n - 1) * groups.std(axis=0, ddof=1) / np.sqrt(n)
    return np.stack([mean, mean - reach, mean + reach], axis=1).tolist()


# --- exact values -----------------------------------------------------------------------------------------

EPS = np.linspace(-10, 10, 501)
NORMAL = np.exp(-(EPS**2) / 2) / np.exp(-(EPS**2) / 2).sum()  # an even grid: exact to rounding for smooth f
UNIFORM, SHARES = np.polynomial.legendre.leggauss(24)


@functools.cache
def exact(family, k):
    """The exact variances of one sample's gradient at mu = sigma = 1, by quadrature.

    Parameters
    ----------
    family : str
        One of FAMILIES.
    k : float

    Returns
    -------
    dict
        {"mean": E[f], "mu": {way: variance of d/dmu}, "sigma": the same of d/dsigma}.
    """
    f, slope = (lambda z, g=g: g(z, k) for g in FAMILIES[family])
    value, mean = f(1 + EPS), NORMAL @ f(1 + EPS)
    rayleigh = NORMAL * np.abs(EPS) * np.sqrt(np.pi / 2)  # of W, half of it on either side
    inner = f(1 + EPS[:, None] * (UNIFORM + 1) / 2)  # N = M U
    scores, found = {"mu": EPS, "sigma": EPS**2 - 1}, {"mean": mean}
    squares = {
        "mu": rayleigh @ (f(1 + EPS) - f(1 - EPS)) ** 2 / (2 * np.pi),
        "sigma": (NORMAL * EPS**2) @ ((value[:, None] - inner) ** 2 @ SHARES / 2),
    }
    for block, path in (("mu", slope(1 + EPS)), ("sigma", slope(1 + EPS) * EPS)):
        truth = NORMAL @ path
        draws = value * scores[block], (value - mean) * scores[block], path
        found[block] = {way: float(NORMAL @ (one - truth) ** 2) for way, one in zip(WAYS, draws)}
        found[block]["measure-valued"] = float(squares[block] - truth**2)
    return found


def exact_growth(dimension):
    """The exact variances of d/dmu_1 of the sum of (z_i + 3)^2 at mu = sigma = 1, one sample.

    Parameters
    ----------
    dimension : int

    Returns
    -------
    dict
        {way: variance}.
    """
    a, others = OFF, dimension - 1
    m, v = a**2 + 1, 4 * a**2 + 2
    score = a**4 + 14 * a**2 + 15 + others * (2 * (a**2 + 3) * m + v) + (m * others) ** 2
    return dict(zip(WAYS, (score, 8 * a**2 + 10 + v * others, 4.0, (16 / np.pi - 4) * a**2)))


def crossings(family, block, low, high):
    """Where the pathwise gradient becomes noisier than the score function's, or quieter again.

    Parameters
    ----------
    family : str
        One of FAMILIES.
    block : str
        "mu" or "sigma".
    low, high : float
        The smallest and the largest k.

    Returns
    -------
    list of float
        The values of k.
    """

    def lead(log_k):
        found = exact(family, np.exp(log_k))[block]
        return np.log(found["pathwise"] / found["score function"])

    grid = np.linspace(np.log(low), np.log(high), 31)
    leads = np.array([lead(one) for one in grid])
    changes = np.flatnonzero(leads[1:] * leads[:-1] < 0)
    return [float(np.exp(optimize.brentq(lead, grid[i], grid[i + 1]))) for i in changes]


# --- what is shown ----------------------------------------------------------------------------------------


def rows(results):
    """The variances at some k, where the pathwise one is no longer the quieter, and the growth with the dimension.

    Parameters
    ----------
    results : dict
        {part: what it returned}.

    Returns
    -------
    list of Row
    """
    found, held = [], []
    for family, result in results["shape"].items():
        for i, k in enumerate(result["k"]):
            truth = exact(family, k)
            for block in ("mu", "sigma"):
                for way in WAYS:
                    value, low, high = result[block][way][i]
                    held.append(low < truth[block][way] < high)
                    if k in SHOWN[family]:
                        words = f"{family}, k = {k:g}, d/d{block}, {way}"
                        found.append(Row(words, _exact(truth[block][way]), value, low, high))
    remark = "a variance of one sample's gradient; the paper's figures have no numbers, these are exact, by quadrature"
    found[0] = found[0]._replace(remark=remark)
    for family, result in results["shape"].items():
        for block in ("mu", "sigma"):
            found += _crossing_rows(family, block, result)
    growth, last = results["dimension"], results["dimension"]["dimensions"][-1]
    for way, truth in exact_growth(last).items():
        found.append(Row(f"sum of {last} (z_i + 3)^2, d/dmu_1, {way}", _exact(truth), *growth[way][-1]))
    return [
        *found,
        Row(f"share of {len(held)} intervals that hold the exact value", "0.95 wanted", float(np.mean(held))),
    ]


def _crossing_rows(family, block, result):
    """A Row if the two curves cross once, measured and exact."""
    k, truth = np.log(result["k"]), crossings(family, block, result["k"][0], result["k"][-1])
    if len(truth) != 1:
        return []
    path, score = (np.array(result[block][way]) for way in ("pathwise", "score function"))  # n, 3
    errors = np.hypot(*((one[:, 2] - one[:, 1]) / (3.92 * one[:, 0]) for one in (path, score)))  # of the log ratio
    lead = interpolate.PchipInterpolator(k, np.log(path[:, 0] / score[:, 0]))
    words = f"{family}, d/d{block}: score function quieter from k ="
    roots = lead.roots(extrapolate=False)
    if len(roots) != 1:
        return [Row(words, _exact(truth[0]), remark="measured, the curves do not cross just once")]
    reach = 1.96 * np.interp(roots[0], k, errors) / abs(lead.derivative()(roots[0]))
    return [Row(words, _exact(truth[0]), *(float(np.exp(roots[0] + side * reach)) for side in (0, -1, 1)))]


def _exact(value):
    """What stands where a published number would: the paper's figures have none."""
    return f"exact {value:.4g}"


def figure(results):
    """The variances against k, and against the dimension; lines are exact, dots measured.

    Parameters
    ----------
    results : dict
        {part: what it returned}.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from tinyvae import plots

    panels = []
    for block in ("mu", "sigma"):
        for family, result in results["shape"].items():
            k = np.geomspace(result["k"][0], result["k"][-1], 60)
            curves = [exact(family, one)[block] for one in k]
            lines = {way: [one[way] for one in curves] for way in WAYS}
            dots = {way: result[block][way] for way in WAYS}
            panels.append((f"{family}, d/d{block}", "k", (k, lines), (result["k"], dots)))
    growth = results["dimension"]
    dimensions = growth["dimensions"]
    lines = {way: [exact_growth(one)[way] for one in dimensions] for way in WAYS}
    dots = {way: growth[way] for way in WAYS}
    panels.insert(2, ("sum of $(z_i + 3)^2$, d/d$\\mu_1$", "dimension", (dimensions, lines), (dimensions, dots)))
    return plots.variance_panels(panels, WAYS)
