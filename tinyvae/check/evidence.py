"""A failed certificate's numbers as arrays, and whether the biases are what a mistake predicts."""

import numpy as np

__all__ = ["PRECISION", "AGREEMENT", "fit", "Evidence"]

PRECISION = 0.05  # the standard error of a factor, at most, in units of what it is to explain
AGREEMENT = 5.0  # standard errors between the factor found and the one that a mistake predicts
ABSURD = 1e-4  # a chi-square whose half is rarer than this: the half, for coordinates of a data point share their noise


def fit(bias, error, predicted):
    """The factor t in bias = t predicted, by weighted least squares.

    Parameters
    ----------
    bias, error, predicted : array (n,)
        Biases, their standard errors, and what a mistake predicts of them.

    Returns
    -------
    tuple
        t, its standard error, and whether the rest is no more than noise: its chi-square is not absurd. Where nothing
        is predicted, t is 0 and its error infinite.
    """
    from scipy.special import chdtrc

    x, y = predicted / error, bias / error
    weight = float(x @ x)
    if weight == 0:
        return 0.0, np.inf, False
    t = float(x @ y) / weight
    rest = y - t * x
    return t, weight**-0.5, bool(chdtrc(max(len(y) - 1, 1), float(rest @ rest) / 2) > ABSURD)


class Evidence:
    """A certificate's tests of the gradient, as arrays (n,), one element a test.

    Parameters
    ----------
    tests : list of Tested
        Of coordinates of the gradient.
    problems : dict
        {(name, S): Problem}.

    Attributes
    ----------
    tests, problems : list
        The tests, and each test's Problem.
    exact, bias, error, S, rows : array (n,)
        error: of the bias, and no less than rounding's; rows: how many data points are in a call.
    failed, alone, small : array (n,) of bool
        alone, small: the problem is one of calls with one data point, or with few, that the certificate added.
    block : array (n,) of str
        The block of q's parameters that the coordinate belongs to, such as "mu".
    """

    def __init__(self, tests, problems):
        self.tests, self.problems = tests, [problems[t.problem, t.n_samples] for t in tests]
        self.exact, self.bias = (np.array([getattr(t, name) for t in tests]) for name in ("exact", "bias"))
        self.error = np.array([max(t.standard_error, 1e-10 * (t.scale + abs(t.mean))) for t in tests])
        self.S = np.array([t.n_samples for t in tests])
        self.rows = np.array([len(p.gradient) for p in self.problems])
        self.failed = np.array([not t.passed for t in tests])
        self.block = np.array([t.coordinate.split("[")[0] for t in tests])
        self.alone, self.small = (
            np.array([t.problem.endswith(end) for t in tests]) for end in (", 1 point a call", " a call")
        )

    def of(self, array_of):
        """What `array_of`, a function Problem -> (B, P), gives for each test, (n,); NaN where it returns None."""
        known, found = {}, []
        for t, p in zip(self.tests, self.problems):
            key = t.problem, t.n_samples
            if key not in known:
                array = array_of(p)
                known[key] = None if array is None else p.q.split(np.broadcast_to(array, p.gradient.shape))
            name, k = t.coordinate[:-1].split("[")
            found.append(np.nan if known[key] is None else known[key][name][t.point, int(k)])
        return np.array(found)

    def fits(self, predicted, where=None):
        """Whether the biases are as predicted, (n,), in the tests `where`; a NaN predicts nothing."""
        where = np.isfinite(predicted) & (True if where is None else where)
        t, error, rest_is_noise = fit(self.bias[where], self.error[where], predicted[where])
        agrees = error <= PRECISION and abs(t - 1) <= AGREEMENT * max(error, 1e-9)
        return bool(rest_is_noise and agrees and self.failed[where].any())

    def share(self, of, where):
        """(t, its error) if the biases are a factor t other than 0 times `of` (n,) in the tests `where`, else None."""
        where = where & np.isfinite(of)
        t, error, rest_is_noise = fit(self.bias[where], self.error[where], of[where])
        sharp = np.abs(t * of[where]) > AGREEMENT * self.error[where]
        if rest_is_noise and sharp.sum() > 1 and error <= PRECISION * abs(t):  # two coordinates at least agree
            return t, error
        return None

    def narrowed(self):
        """Where the biases are: all tests with an S and a problem that failed somewhere, a mask, and words for it."""
        sizes, names = ({getattr(t, key) for t in self.tests if not t.passed} for key in ("n_samples", "problem"))
        words = [f"S = {', '.join(map(str, sorted(sizes)))}"] * (sizes != set(self.S))
        if names != {t.problem for t in self.tests}:
            words.append(", ".join(sorted(names)[:3]) + ", ..." * (len(names) > 3))
        mask = np.array([t.n_samples in sizes and t.problem in names for t in self.tests])
        return mask, f" (only: {'; '.join(words)})"
