"""Baselines for the score function that are known before the samples are drawn: a constant, a memory, a network.

Any b that does not depend on z_s may be taken from f(z_s): E_q[b dlog q/dlambda] = 0. Estimators with
state learn in `update`, which the training loop calls *after* the gradient was taken; a call alone changes nothing, so
that a measurement leaves them as they are. `state` and `restore` carry what was learnt into a file and back.
"""

from tinyvae import validate
from tinyvae.estimators.contract import Draws
from tinyvae.estimators.learning import Learner, MovingMean, SmallNetwork
from tinyvae.estimators.traits import estimator
from tinyvae.objectives import Integrand

__all__ = ["ConstantBaseline", "MovingAverage", "InputDependent"]


@estimator(objective="average", q=("score",))
class ConstantBaseline:
    """The score function with a constant taken from f.

        (f(z) - value) dlog q(z)/dlambda

    Wins: where E_q[f] is known roughly and does not change. Loses: to any baseline that follows f. Costs one f a
    sample.

    It makes a callable (q, target, eps, objective, rng) -> Draws.

    Parameters
    ----------
    value : float, optional
        The constant, in f's units (nats).

    Attributes
    ----------
    value : float
        As given.

    Raises
    ------
    TypeError
        If value is not a number. At a call: if `objective` is no objective, or eps is not of q's dtype.
    ValueError
        If value is not finite. At a call: under ImportanceWeighted; if q lacks `score`, a shape does not fit, or eps or
        f is not finite.

    Notes
    -----
    Source: Williams 1992.
    """

    def __init__(self, value=0.0):
        self.value = validate.number("value", value)

    def __call__(self, q, target, eps, objective=None, rng=None):
        """eps (S, B, K), objective None or an ELBO, rng not asked -> Draws: f (S, B), nats, dparams (S, B, 2K)."""
        return _with_baseline(q, target, eps, objective, self.value)[0]

    def __repr__(self):
        return f"ConstantBaseline(value={self.value})"


@estimator(objective="average", q=("score",))
class MovingAverage(Learner):
    """The score function with the moving average of *past* values of f as its baseline.

        (f(z) - b_t) dlog q(z)/dlambda,  b_{t+1} = decay b_t + (1 - decay) mean f_t,  b_1 = mean f_0

    The current samples enter only afterwards: a baseline that held them would be biased. Wins: free of cost,
    and good where f's level is the same for all data points. Loses: where it is not. Costs one f a sample.

    It makes a callable (q, target, eps, objective, rng) -> Draws.

    Parameters
    ----------
    decay : float, optional
        How much of the average is kept at an `update`, from 0 to 1.

    Attributes
    ----------
    learnt : MovingMean
        The average.

    Raises
    ------
    TypeError
        If decay is not a number. At a call: if `objective` is no objective, or eps is not of q's dtype.
    ValueError
        If decay is not between 0 and 1. At a call: under ImportanceWeighted; if q lacks `score`, a shape does not fit,
        or eps or f is not finite.

    Notes
    -----
    Source: Williams 1992.
    """

    def __init__(self, decay=0.9):
        super().__init__(MovingMean(decay))

    def __call__(self, q, target, eps, objective=None, rng=None):
        """eps (S, B, K), objective None or an ELBO, rng not asked -> Draws: f (S, B), nats, dparams (S, B, 2K)."""
        draws, f = _with_baseline(q, target, eps, objective, self.average or 0.0)
        self._seen = (float(f.mean()),)
        return draws

    @property
    def average(self):
        """The baseline of the next call, in f's units, or None before the first `update`."""
        return self.learnt.value

    def learn(self, mean):
        """Take the last call's mean of f into the average."""
        self.learnt.add(mean)

    def __repr__(self):
        return f"MovingAverage({self.learnt})"


@estimator(objective="average", q=("score",))
class InputDependent(Learner):
    """The score function with a network's prediction of f as its baseline (NVIL).

        (f(z) - b(x)) dlog q(z)/dlambda,  b trained alongside to minimise (f - b)^2

    The network sees q's parameters [mu, logvar], which are what the encoder tells of x, so that no sample
    enters. Wins: where f's level differs between data points and one sample a point is all one has. Loses:
    before it is trained, and to leave-one-out with several samples. Costs one f a sample and a small network.

    It makes a callable (q, target, eps, objective, rng) -> Draws.

    Parameters
    ----------
    hidden : iterable of int, optional
        The sizes of the network's hidden layers.
    rate : float, optional
        Adam's step size, in units of the network's weights.
    seed : int, optional
        For the network's initial weights.

    Attributes
    ----------
    learnt : SmallNetwork
        The network.

    Raises
    ------
    TypeError
        If an option is of the wrong type. At a call: if `objective` is no objective, or eps is not of q's dtype.
    ValueError
        If one of `hidden` is below 1, or rate or seed below 0. At a call: under ImportanceWeighted; if q lacks `score`,
        a shape does not fit, or eps or f is not finite.

    Notes
    -----
    Source: Mnih & Gregor 2014, section 2.3 (their running mean and variance standardise f here too).
    """

    def __init__(self, hidden=(64,), rate=1e-3, seed=0):
        super().__init__(SmallNetwork(hidden, rate, seed))

    def __call__(self, q, target, eps, objective=None, rng=None):
        """eps (S, B, K), objective None or an ELBO, rng not asked -> Draws: f (S, B), nats, dparams (S, B, 2K)."""
        baseline, cache = self.learnt(q.params)  # B
        draws, f = _with_baseline(q, target, eps, objective, baseline.astype(q.dtype))
        self._seen = f.astype("float64"), baseline, cache
        return draws

    def learn(self, f, baseline, cache):
        """One step of the network towards the last call's f. Raises ArithmeticError if its gradient is not finite."""
        slope = 2 * (baseline - f.mean(axis=0)) / len(baseline)  # B: of mean (f - b)^2
        self.learnt.learn([(cache, slope)], f)

    def __repr__(self):
        return f"InputDependent({self.learnt})"


def _with_baseline(q, target, eps, objective, baseline):
    """Draws of (f - baseline) dlog q/dlambda, and f (S, B). baseline: a number or (B,)."""
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    return Draws(f, (f - baseline)[..., None] * q.score(z)), f  # S, B, 2K
