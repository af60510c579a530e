"""Baselines for the score function that are known before the samples are drawn: a constant, a memory, a network.

Any b that does not depend on z_s may be taken from f(z_s): E_q[b dlog q/dlambda] = 0. Estimators with
state learn in `update`, which the training loop calls *after* the gradient was taken; a call alone changes nothing, so
that a measurement leaves them as they are. `state` and `restore` carry what was learnt into a file and back.
"""

import numpy as np

from tinyvae import validate
from tinyvae.estimators.contract import Draws
from tinyvae.estimators.network import SmallNetwork
from tinyvae.objectives import Integrand, require_average


class ConstantBaseline:
    """The score function with a constant taken from f:  (f(z) - value) dlog q(z)/dlambda.

    Wins: where E_q[f] is known roughly and does not change. Loses: to any baseline that follows f. Costs one f a sample.

    ConstantBaseline(value=0.0), in f's units (nats), makes a callable (q, target, eps, objective, rng) -> Draws.
    Raises ValueError under ImportanceWeighted or if a shape does not fit. Source: Williams 1992.
    """

    def __init__(self, value=0.0):
        self.value = validate.number("value", value)

    def __call__(self, q, target, eps, objective=None, rng=None):
        require_average("constant_baseline", objective)
        return _with_baseline(q, target, eps, objective, self.value)[0]

    def __repr__(self):
        return f"ConstantBaseline(value={self.value})"


class MovingAverage:
    """The score function with the moving average of *past* values of f as its baseline.

        (f(z) - b_t) dlog q(z)/dlambda,  b_{t+1} = decay b_t + (1 - decay) mean f_t,  b_1 = mean f_0

    The current samples enter only afterwards: a baseline that held them would be biased. Wins: free of cost,
    and good where f's level is the same for all data points. Loses: where it is not. Costs one f a sample.

    MovingAverage(decay=0.9) makes a callable (q, target, eps, objective, rng) -> Draws.
    Raises ValueError under ImportanceWeighted or if a shape does not fit. Source: Williams 1992.
    """

    def __init__(self, decay=0.9):
        self.decay = validate.number("decay", decay, least=0, most=1)
        self.average, self._seen = None, None

    def __call__(self, q, target, eps, objective=None, rng=None):
        require_average("moving_average", objective)
        draws, f = _with_baseline(q, target, eps, objective, self.average or 0.0)
        self._seen = float(f.mean())
        return draws

    def update(self):
        """Take the last call's f into the average."""
        self.average = self._seen if self.average is None else self.decay * self.average + (1 - self.decay) * self._seen

    def state(self):
        return {} if self.average is None else {"average": np.array(self.average)}

    def restore(self, state):
        self.average = float(state["average"]) if state else None

    def __repr__(self):
        return f"MovingAverage(decay={self.decay})"


class InputDependent:
    """The score function with a network's prediction of f as its baseline (NVIL).

        (f(z) - b(x)) dlog q(z)/dlambda,  b trained alongside to minimise (f - b)^2

    The network sees q's parameters [mu, logvar], which are what the encoder tells of x, so that no sample
    enters. Wins: where f's level differs between data points and one sample a point is all one has. Loses:
    before it is trained, and to leave-one-out with several samples. Costs one f a sample and a small network.

    InputDependent(hidden=(64,), rate=1e-3, seed=0) makes a callable (q, target, eps, objective, rng) -> Draws.
    Raises ValueError under ImportanceWeighted or if a shape does not fit.
    Source: Mnih & Gregor 2014, sections 2.3 and 2.4 (their running mean and variance standardise f here too).
    """

    def __init__(self, hidden=(64,), rate=1e-3, seed=0):
        self.network, self._seen = SmallNetwork(hidden, rate, seed), None

    def __call__(self, q, target, eps, objective=None, rng=None):
        require_average("input_dependent", objective)
        baseline, cache = self.network(q.params)  # B
        draws, f = _with_baseline(q, target, eps, objective, baseline.astype(q.dtype))
        self._seen = f.astype("float64"), baseline, cache
        return draws

    def update(self):
        """One step of the network towards the last call's f."""
        f, baseline, cache = self._seen
        slope = 2 * (baseline - f.mean(axis=0)) / len(baseline)  # B: of mean (f - b)^2
        self.network.learn([(cache, slope)], f)

    def state(self):
        return self.network.state()

    def restore(self, state):
        self.network.restore(state)

    def __repr__(self):
        return f"InputDependent({self.network})"


def _with_baseline(q, target, eps, objective, baseline):
    """Draws of (f - baseline) dlog q/dlambda, and f (S, B). baseline: a number or (B,)."""
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    return Draws(f, (f - baseline)[..., None] * q.score(z)), f  # S, B, 2K
