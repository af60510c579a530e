"""Judges of lesson 10: the path derivative's table, DReG, and the gap of the importance-weighted bound."""

import numpy as np

from tinyvae import estimators
from tinyvae.distributions import DiagonalGaussian
from tinyvae.estimators import Target
from tinyvae.exercises.contract import Wrong, array, call, close, off, several
from tinyvae.objectives import ELBO, ImportanceWeighted
from tinyvae.problems import exact_mean

__all__ = ["variances_of_a_draw", "dreg_by_hand", "gap_of_four"]

ROUNDING = 2e-3  # of the largest number: float32 knows a loss of 5,000 to 2e-4, hence a squared weight to some 5e-4
ROWS = "the sampled KL", "the KL by formula", "the path derivative"


def variances_of_a_draw(answer):
    """Judge the table of variances for x = 2, against quadrature over the package's estimators.

    Parameters
    ----------
    answer : callable
        (mu, s) -> the table (3, 2).

    Raises
    ------
    Wrong
        If an entry is off; the message names its row and column.
    """
    for mu, s in ((0.3, 0.8), (1.4, 0.45), (-0.6, 1.2)):
        got = array(call(answer, mu, s), (3, 2), "the table")
        expected, for_one = _table(mu, s, 2.0), _table(mu, s, 1.0)
        if close(got, expected):
            continue
        by_logvar, other_way = expected * (1, s**2 / 4), expected[[0, 2, 1]]
        for mistake, value in {
            "that is the lesson's table, for x = 1: where does x come in?": for_one,
            "the columns are d/dμ and d/dlogvar, where d/ds is asked": by_logvar,
            "these are standard deviations, not variances": np.sqrt(expected),
            "the columns are exchanged: d/dμ comes first": expected[:, ::-1],
            "the rows are in another order than asked: look at the last two": other_way,
            "the rows are in another order than asked: look at the first two": expected[[1, 0, 2]],
            "the rows are in the reverse order": expected[::-1],
        }.items():
            if close(got, value):
                raise Wrong(mistake)
        a, half = mu - 1.0, mu - 0.5
        for i, row in enumerate(ROWS):
            for j, column in enumerate(("d/dμ", "d/ds")):
                right, where = expected[i, j], f"{row}, {column}, at mu = {mu}, s = {s}"
                if close(got[i, j], right):
                    continue
                if j and any(close(got[i, j], right + 4 * (b**2 - a**2)) for b in (half, mu)) and i != 1:
                    raise Wrong(f"{where}: how far is mu from the mean of the posterior, now that x = 2?")
                if (
                    i == 1
                    and j
                    and any(close(got[i, j], right + (mu - x) ** 2 - (mu - 2) ** 2) for x in (0, 0.5, 1, 1.5))
                ):
                    raise Wrong(f"{where}: f' is the slope of -log p(x | z) with x = 2")
                if j and close(got[i, j], right - (4 * a**2 if i != 1 else (mu - 2) ** 2)):
                    raise Wrong(f"{where}: the mean of the slope is multiplied by ε, too, and adds to the variance")
                if close(got[i, j], right + _mean(mu, s, i, j) ** 2):
                    raise Wrong(f"{where}: that is the mean square; the square of the mean is not subtracted")
                raise Wrong(f"{where}: {off(got[i, j], right)}")


def dreg_by_hand(answer):
    """Judge DReG against the package's, up to rounding.

    Parameters
    ----------
    answer : callable
        (losses, slopes, sigma, eps) -> the gradient for mu and for logvar.

    Raises
    ------
    Wrong
        If one of the two is off.
    """
    for shift in (0.0, 5000.0):  # a constant in f: no weight changes, but every exponential
        for seed, (S, B, K) in enumerate(((6, 3, 2), (3, 2, 5))):
            rng = np.random.default_rng(seed)
            mu, logvar, eps = rng.normal(0, 1, (B, K)), rng.normal(-0.5, 0.4, (B, K)), rng.standard_normal((S, B, K))
            q, away = DiagonalGaussian(mu, logvar), rng.normal(0, 1, K)
            target = Target(lambda z: ((z - away) ** 2).sum(axis=-1) / 2 + shift, lambda z: z - away)
            f, dparams = estimators.dreg(q, target, eps, ImportanceWeighted())  # S, B; S, B, 2K
            expected, sigma = dparams.mean(axis=0), np.exp(logvar / 2)  # B, 2K; B, K
            z = q.sample(eps)
            slopes = target.grad(z) + q.log_ratio_grad(z)  # S, B, K
            found = several(call(answer, f, slopes, sigma, eps), 2, "the result (dL/dμ, dL/dlogvar)")
            names = "dL/dμ", "dL/dlogvar"
            if shift:
                names = tuple(f"with losses in the thousands, {name}" for name in names)
            got = np.concatenate([array(part, (B, K), name) for part, name in zip(found, names)], axis=1)  # B, 2K
            if close(got, expected, ROUNDING):
                continue
            path = np.concatenate([slopes, slopes * eps * sigma / 2], axis=2)  # S, B, 2K
            _recognise_dreg(got, expected, f, path, np.concatenate([np.ones_like(sigma), sigma], axis=1))


def gap_of_four(answer):
    """Judge log p(x) - L_4, to 1e-6, against an integral of another kind.

    Parameters
    ----------
    answer : callable
        (mu, s) -> the gap, nats.

    Raises
    ------
    Wrong
        If it is off.
    """
    log_px = -0.5 * np.log(4 * np.pi) - 0.25
    places = (1.0, np.sqrt(2 / 3)), (0.2, 0.95)
    answers = [float(array(call(answer, mu, s), (), "the gap")) for mu, s in places]
    if answers[0] == answers[1]:
        raise Wrong("it is the same number at two places: does it depend on mu and s?")
    for (mu, s), got in zip(places, answers):
        expected = _gap(4, mu, s)
        error = abs(got - expected)
        if error < 1e-6:
            continue
        w, weights = _weights(mu, s)
        others = {S: _gap(S, mu, s) for S in (1, 2, 3, 5, 8, 16)}
        for mistake, value in {
            "that is L_4 itself: how far is it below log p(x)?": log_px - expected,
            "that is -L_4, the loss: how far is L_4 below log p(x)?": expected - log_px,
            "the sign is wrong: the bound lies below log p(x)": -expected,
            "log p(x) is left out of it or counted twice": expected + log_px,
            "that is the variance of w over 2 S, to which the gap tends for large S; at S = 4 it is not there yet":
                weights @ (w - 1) ** 2 / 8,
            "the sum of the weights is not divided by 4": expected - np.log(4),
            **{f"that is the gap of {S}, not of four": value for S, value in others.items()},
            "that is the gap of one, divided by 4": others[1] / 4,
        }.items():  # fmt: skip
            if abs(got - value) < 1e-6 * (1 + abs(value)):
                raise Wrong(mistake)
        if error < 3e-3:
            raise Wrong(
                f"it is right to {error:.0e} at mu = {mu:g}, s = {s:.3f}, and 1e-6 is asked: random samples need very "
                "many for that; nodes on a grid need not, if there are enough of them"
            )
        raise Wrong(f"at mu = {mu:g}, s = {s:.3f} it is {off(got, expected)}")


def _ways():
    """(estimator, objective) of each row."""
    sampled = ELBO(kl="monte_carlo")
    return ("reparameterization", sampled), ("reparameterization", ELBO()), ("path_derivative", sampled)


def _moments(mu, s, i, x):
    """The exact mean and variance (2,) of a sample's d/dμ and d/ds, of row i."""
    estimator, objective = _ways()[i]
    q = DiagonalGaussian(np.array([[float(mu)]]), np.array([[2 * np.log(s)]]))
    target = Target(lambda z: 0.5 * ((x - z) ** 2).sum(axis=-1), lambda z: z - x)
    mean, variance = exact_mean(estimator, q, target, objective, n_nodes=20)  # 1, 2; 1, 2: μ, logvar
    return mean[0] * (1, 2 / s), variance[0] * (1, 4 / s**2)


def _table(mu, s, x):
    return np.array([_moments(mu, s, i, x)[1] for i in range(3)])


def _mean(mu, s, i, j):
    return _moments(mu, s, i, 2.0)[0][j]


def _recognise_dreg(got, expected, losses, path, sigma):
    """Raise Wrong, with the mistake's name if it is a known one."""
    S, K = len(losses), sigma.shape[1] // 2

    def normalised(values, axis=0):
        e = np.exp(values - values.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    wn = normalised(-losses)  # S, B

    def gradient(weights):
        return np.einsum("sb,sbp->bp", weights, path)  # B, 2K

    for mistake, value in {
        "the weights are not squared. Each wn alone gives the gradient without its score, whose mean is not 0 here":
            gradient(wn),
        "the squares are normalised again: they need not add up to one": gradient(wn**2 / (wn**2).sum(axis=0)),
        "the factor wn (1 - wn) is what is subtracted, not what remains": gradient(wn * (1 - wn)),
        "it is a mean over samples, where a sum is asked": expected / S,
        "the sign is wrong: the gradient is that of the loss, which falls against it": -expected,
        "the weights favour the samples of large loss: w is e to the minus loss": gradient(normalised(losses) ** 2),
        "the weights are normalised over the data points, not over the samples": gradient(normalised(-losses, 1) ** 2),
        "the gradient for logvar is that for σ: the chain rule has one more factor":
            np.concatenate([expected[:, :K], 2 * (expected / sigma)[:, K:]], axis=1),
        "the gradient for logvar is that for log σ: the chain rule has a factor 1/2":
            expected * np.repeat([1.0, 2.0], K),
        "the gradient for logvar lacks σ": expected / sigma,
        "there are no weights: that is the ELBO's path derivative": gradient(np.full_like(wn, 1 / S)),
    }.items():  # fmt: skip
        if close(got, value, 1e-5):
            raise Wrong(mistake)
    for name, part in (("dL/dμ", slice(None, K)), ("dL/dlogvar", slice(K, None))):
        if not close(got[:, part], expected[:, part], ROUNDING):
            much = "" if losses.max() < 1000 else ", with losses in the thousands"
            raise Wrong(f"{name} is {off(got[:, part], expected[:, part])}{much}")


def _weights(mu, s):
    """w / p(x) for x = 1 at Gauss-Hermite nodes, (n,), and the nodes' weights (n,)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights, z = weights / weights.sum(), mu + s * nodes  # n; n
    w = np.exp((nodes**2 - (1 - z) ** 2 - z**2) / 2)  # n, up to a factor
    return w / (weights @ w), weights


def _gap(S, mu, s):
    """log p(x) - L_S from one integral over t: log y = int (e^-t - e^-ty) / t dt."""
    w, weights = _weights(mu, s)
    t = np.exp(np.arange(-40, 12, 0.02))  # an even grid of log t
    return 0.02 * ((np.exp(-t[:, None] / S * w) @ weights) ** S - np.exp(-t)).sum()
