"""The slope of f for samples that have no path: as if the sample were its mean, or were relaxed; or as a baseline.

z is a threshold of odds, and flat but for its jumps. Two estimators take df/dz where z has its jump, and pass it on as
if there were a slope; one trains at samples that are not z at all. All three are biased. The last, `muprop`, takes
df/dz for a control variate, and is not.
"""

import numpy as np

from tinyvae import schedules, validate
from tinyvae.estimators.contract import Draws
from tinyvae.estimators.traits import estimator
from tinyvae.objectives import Integrand

__all__ = ["straight_through", "GumbelSoftmax", "StraightThroughGumbelSoftmax", "muprop"]


@estimator(objective="average", q=("relaxed_path",), f=("value", "grad"), biased=True)
def straight_through(q, target, eps, objective=None, rng=None):
    """Straight-through: the sample forwards, and backwards df/dz as if z were its mean.

        df/dz(z) dp/dlogits,  z a sample and p its mean: for a bit, df/dz p (1 - p)

    Biased, unless f is linear: by p (1 - p) (2 p - 1) for f = (z - t)^2 of one bit. No number of samples mends that.
    Wins: one f, one df/dz, hardly any variance, and nothing to choose. Loses: where f bends; it follows a slope at the
    states, while f is asked at the states only, and need not have that slope between them. Costs one f and one df/dz a
    sample. Where the KL is sampled, its mean is the discrete KL's gradient, exactly.

    Parameters
    ----------
    q : Binary, Categorical or another distribution with `relaxed_path`
        One for each of B data points.
    target : Target
        f and df/dz.
    eps : array (S, B, ...)
        Uniform noise, in q's dtype.
    objective : ELBO or another that averages, optional
        None takes the plain expectation of f.
    rng : numpy.random.Generator, optional
        Not asked.

    Returns
    -------
    Draws
        f (S, B), nats, and dparams (S, B, P).

    Raises
    ------
    ValueError
        Under ImportanceWeighted; if the target has no gradient, q lacks `relaxed_path`, a shape does not fit, or f or
        df/dz is not finite.
    TypeError
        If `objective` is no objective, or eps is not of q's dtype.

    Notes
    -----
    Source: Bengio, Leonard & Courville 2013.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    dparams = _mean_path(q, loss.grad(z)) + loss.explicit(z)  # S, B, P
    return Draws(f, dparams)


class Relaxation:
    """A relaxed sample, y = softmax(odds / temperature), at a temperature that may follow a schedule.

        y = sigmoid((logits + log(eps / (1 - eps))) / temperature) for a bit;  y -> z as the temperature falls

    Parameters
    ----------
    temperature : float or function of the step
        Above 0; where it changes in training (annealing), a schedule such as tv.schedules.Linear(1, 0.3, n_steps).

    Attributes
    ----------
    temperature : float or function
        As given.
    step : int
        Which step it is at, from 1: `update` counts.

    Raises
    ------
    TypeError, ValueError
        If the temperature is neither a number nor a function, or not above 0.
    """

    def __init__(self, temperature=0.5):
        self.temperature = schedules.checked("temperature", temperature, **ABOVE_ZERO)
        self.step = 1

    @property
    def present(self):
        """The temperature at the present step, float."""
        return float(schedules.at("temperature", self.temperature, self.step, **ABOVE_ZERO))

    def relaxed(self, q, eps):
        """y (S, B, K), the relaxed sample of eps (S, B, ...)."""
        return q.relaxed(q.odds(eps), self.present)

    def update(self):
        """One step further along the schedule."""
        self.step += 1

    def state(self):
        """How far along the schedule it is, as arrays by name; an empty dict at the start, or without a schedule."""
        return {"step": np.array(self.step)} if callable(self.temperature) and self.step > 1 else {}

    def restore(self, state):
        """Go on from what `state` returned; an empty dict is a fresh start."""
        self.step = validate.integer("step", int(state["step"]), least=1) if state else 1

    def __repr__(self):
        return f"{type(self).__name__}(temperature={schedules.words(self.temperature)})"


ABOVE_ZERO = {"least": 0, "open_least": True}


@estimator(objective="average", q=("odds", "relaxed", "relaxed_path"), f=("value", "grad"), biased=True)
class GumbelSoftmax(Relaxation):
    """The pathwise gradient of a relaxed sample: odds divided by a temperature, in place of their threshold (Concrete).

        df/dy dy/dlogits,  y = softmax((logits + g) / temperature), g Gumbel
        for a bit: df/dy y (1 - y) / temperature

    It is the gradient of E[f(y)], not of E[f(z)]: biased, in proportion to a low temperature (by the temperature times
    p (1 - p) (2 p - 1) for f = (z - t)^2 of one bit), while the variance grows as 1 / temperature. f must be defined
    between the states. The decoder is trained at y, too. Wins: with few samples, a smooth f, and a temperature at which
    neither of the two is large. Loses: where f at y tells little of f at z; where many samples lower the variance, and
    the bias stays. Costs one df/dy a sample, and one f for its report. What it reports, and training shows, is the loss
    at the discrete sample, not at y.

    Where the KL is sampled, it is the discrete one's log q(y) - log p(y), continued between the states in a straight
    line, not the density's of y.

    It makes a callable (q, target, eps, objective, rng) -> Draws.

    Parameters
    ----------
    temperature : float or function of the step, optional
        Above 0; where it changes in training (annealing), a schedule such as tv.schedules.Linear(1, 0.3, n_steps).

    Attributes
    ----------
    temperature : float or function
        As given.
    step : int
        Which step it is at, from 1: `update` counts.

    Raises
    ------
    TypeError
        If temperature is neither a number nor a function. At a call: if `objective` is no objective, or eps is not of
        q's dtype.
    ValueError
        If temperature is not above 0. At a call: under ImportanceWeighted; if the target has no gradient, q lacks
        `odds`, `relaxed` or `relaxed_path`, a shape does not fit, or f or df/dz is not finite.

    Notes
    -----
    Source: Jang, Gu & Poole 2017, section 2; Maddison, Mnih & Teh 2017.
    """

    def __call__(self, q, target, eps, objective=None, rng=None):
        """eps (S, B, ...), objective None or an ELBO, rng not asked -> Draws: f (S, B), nats, dparams (S, B, P)."""
        loss, y = Integrand(q, target, objective), self.relaxed(q, eps)  # S, B, K
        dparams = q.relaxed_path(loss.grad(y), y, self.present) + loss.explicit(y)  # S, B, P
        return Draws(loss(q.sample(eps)), dparams)

    def decoder_sample(self, q, eps):
        """Where the decoder is trained: y (S, B, K), the relaxed sample."""
        return self.relaxed(q, eps)


@estimator(objective="average", q=("odds", "relaxed", "relaxed_path"), f=("value", "grad"), biased=True)
class StraightThroughGumbelSoftmax(Relaxation):
    """Straight-through Gumbel-softmax: the sample forwards, and backwards df/dz as if z were the relaxed sample.

        df/dz(z) dy/dlogits,  y = softmax((logits + g) / temperature), g Gumbel
        for a bit: df/dz y (1 - y) / temperature

    The slope is taken at z and passed on at y. Biased; as the temperature falls, its mean for a bit goes to p (1 - p)
    times the mean of the slopes at 0 and 1, which is right for a quadratic f and wrong for others, while its variance
    grows as 1 / temperature. Wins: a decoder that is to see states alone, of a nearly quadratic f. Loses: to
    `GumbelSoftmax` at a low temperature, whose bias goes to 0 for any smooth f. Costs one f and one df/dz a sample.

    It makes a callable (q, target, eps, objective, rng) -> Draws.

    Parameters
    ----------
    temperature : float or function of the step, optional
        Above 0; where it changes in training (annealing), a schedule such as tv.schedules.Linear(1, 0.3, n_steps).

    Attributes
    ----------
    temperature : float or function
        As given.
    step : int
        Which step it is at, from 1: `update` counts.

    Raises
    ------
    TypeError
        If temperature is neither a number nor a function. At a call: if `objective` is no objective, or eps is not of
        q's dtype.
    ValueError
        If temperature is not above 0. At a call: under ImportanceWeighted; if the target has no gradient, q lacks
        `odds`, `relaxed` or `relaxed_path`, a shape does not fit, or f or df/dz is not finite.

    Notes
    -----
    Source: Jang, Gu & Poole 2017, section 2.2.
    """

    def __call__(self, q, target, eps, objective=None, rng=None):
        """eps (S, B, ...), objective None or an ELBO, rng not asked -> Draws: f (S, B), nats, dparams (S, B, P)."""
        loss, z = Integrand(q, target, objective), q.sample(eps)  # S, B, K
        f = loss(z)  # S, B
        dparams = q.relaxed_path(loss.grad(z), self.relaxed(q, eps), self.present) + loss.explicit(z)  # S, B, P
        return Draws(f, dparams)


@estimator(objective="average", q=("score", "relaxed_path"), f=("value", "grad"))
def muprop(q, target, eps, objective=None, rng=None):
    """The score function of f's rest beyond its tangent at the mean, plus the tangent's own gradient (MuProp).

        (f(z) - f(p) - f'(p) (z - p)) score(z) + f'(p) dp/dlogits,   p the mean of z

    The tangent's expectation is known, f(p), and its gradient is the mean-field one: unbiased. The sampled KL, which is
    linear in z, has no variance. Wins: f is nearly linear over q's width, as where the probabilities are near 0 or 1.
    Loses: f bends, or its slope at the mean, which is no state, tells little of the states. Costs one f a sample, plus
    one f and one df/dz a data point.

    Parameters
    ----------
    q : Binary, Categorical or another distribution with `score` and `relaxed_path`
        One for each of B data points.
    target : Target
        f and df/dz.
    eps : array (S, B, ...)
        Uniform noise, in q's dtype.
    objective : ELBO or another that averages, optional
        None takes the plain expectation of f.
    rng : numpy.random.Generator, optional
        Not asked.

    Returns
    -------
    Draws
        f (S, B), nats, and dparams (S, B, P).

    Raises
    ------
    ValueError
        Under ImportanceWeighted; if the target has no gradient, q lacks `score` or `relaxed_path`, a shape does not
        fit, or f or df/dz is not finite.
    TypeError
        If `objective` is no objective, or eps is not of q's dtype.

    Notes
    -----
    The paper's further baseline, a network's prediction of what is left, is `input_dependent`'s; it is not taken here.

    Source: Gu, Levine, Sutskever & Mnih 2016, eq. 3.
    """
    loss = Integrand(q, target, objective)
    z, mean = q.sample(eps), np.ascontiguousarray(q.mean[None])  # S, B, K and 1, B, K
    f = loss(z)  # S, B
    slope = loss.grad(mean)  # 1, B, K
    rest = f - loss(mean) - (slope * (z - mean)).sum(axis=2)  # S, B
    dparams = rest[..., None] * q.score(z) + _mean_path(q, slope)  # S, B, P
    return Draws(f, dparams)


def _mean_path(q, dz):
    """A slope in z as one in params, z being taken for its mean: dz (S, B, K) -> (S, B, P)."""
    return q.relaxed_path(dz, np.broadcast_to(q.mean, dz.shape), 1.0)
