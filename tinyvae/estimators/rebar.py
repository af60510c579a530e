"""The score function of discrete latents minus f at the relaxed sample, whose mean's gradient is known two ways."""

import math

import numpy as np

from tinyvae import validate
from tinyvae.estimators.contract import Draws
from tinyvae.estimators.learning import Learner, MovingMean
from tinyvae.estimators.traits import estimator
from tinyvae.objectives import Integrand
from tinyvae.optim import Adam

__all__ = ["Rebar"]

NUDGE = 0.01  # of the log temperature, in its difference


@estimator(objective="average", q=("score", "odds", "relaxed", "relaxed_path", "given_path"), f=("value", "grad"))
class Rebar(Learner):
    """The score function with f at the relaxed sample as control variate, its mean's gradient taken back by paths.

        (f(z) - b - scale [f(y) - b]) score(z) + scale [df(y)/dlambda - df(y)/dlambda given z]

    y is the sample relaxed at a temperature: z without its threshold. The last term is the difference of two paths from
    the logits to y, one with the noise held, one with z held, the noise being drawn given z: on average it is what
    f(y) score(z) is. Here the noise given z is the one that made z, so that both paths end in one y, and nothing more
    is drawn. b, a running mean of past f, keeps f's level out where scale is not 1. Temperature and scale follow the
    slope of the estimate's mean square. Wins: f is smooth, and at the relaxed sample nearly what it is at the state; an
    f whose level matters loses it. Loses: where f bends between the states, as one with a valley there (scale falls to
    0, and it is the score function). Costs two f and one df/dz a sample, and where it learns one more of each.

    It makes a callable (q, target, eps, objective, rng) -> Draws.

    Parameters
    ----------
    temperature, scale : float, optional
        Where they start; temperature above 0.
    rate : float, optional
        Adam's step size, in units of scale and of log temperature; 0 keeps both.

    Attributes
    ----------
    learnt : Control
        The two, and b.

    Raises
    ------
    TypeError
        If an option is of the wrong type. At a call: if `objective` is no objective, or eps is not of q's dtype.
    ValueError
        If temperature is not above 0, or rate below 0. At a call: under ImportanceWeighted; if the target has no
        gradient, q lacks what is named above, a shape does not fit, or f or df/dz is not finite.

    Notes
    -----
    The temperature's slope is a difference over 1% of it; an inexact one costs variance, not bias.

    Source: Tucker et al. 2017.
    """

    def __init__(self, temperature=0.5, scale=1.0, rate=0.01):
        super().__init__(Control(temperature, scale, rate))

    def __call__(self, q, target, eps, objective=None, rng=None):
        """eps (S, B, ...), objective None or an ELBO, rng not asked -> Draws: f (S, B), nats, dparams (S, B, P)."""
        own, loss = self.learnt, Integrand(q, target, objective)
        z, odds = q.sample(eps), q.odds(eps)  # S, B, K
        f, score = loss(z), q.score(z)  # S, B and S, B, P
        temperatures = [own.temperature, own.temperature * math.exp(NUDGE)][: 2 if own.learns else 1]
        ys = [q.relaxed(odds, temperature) for temperature in temperatures]
        y = np.concatenate(ys)
        relaxed, slopes = (np.split(part, len(ys)) for part in (loss(y), loss.grad(y)))  # at y together: one pass
        controls = []
        for y, fy, dy, temperature in zip(ys, relaxed, slopes, temperatures):
            path = q.relaxed_path(dy, y, temperature)  # S, B, P: noise held
            controls.append(path - q.given_path(path, eps) - (fy - f.dtype.type(own.level))[..., None] * score)
        plain = (f - f.dtype.type(own.level))[..., None] * score  # S, B, P
        dparams = plain + f.dtype.type(own.scale) * controls[0]
        self._seen = dparams, controls, float(f.mean())
        return Draws(f, dparams)

    def learn(self, dparams, controls, level):
        """One step down the last estimate's mean square. Raises ArithmeticError if a slope is not finite."""
        if self.learnt.learns:
            self.learnt.step(self.slopes(dparams, controls))
        self.learnt.mean.add(level)

    def slopes(self, dparams, controls):
        """The slope of the estimate's mean square in log temperature and in scale.

            d/dtheta mean |g|^2 = mean 2 g' dg/dtheta

        Parameters
        ----------
        dparams : array (S, B, P)
            g, the estimate.
        controls : list of array (S, B, P)
            What scale multiplies in it, at the temperature and at the one beside it.

        Returns
        -------
        array (2,)
        """
        here, beside = controls
        twice = 2 / (dparams.shape[0] * dparams.shape[1])
        hotter = twice * self.learnt.scale / NUDGE * float(np.vdot(dparams, beside - here))
        return np.array([hotter, twice * float(np.vdot(dparams, here))])

    def __repr__(self):
        return f"Rebar({self.learnt})"


class Control:
    """A temperature and a scale that follow slopes, and a running mean of f.

    Parameters
    ----------
    temperature, scale : float
        Where they start; temperature above 0.
    rate : float
        Adam's step size; 0 keeps both.

    Attributes
    ----------
    theta : array (2,)
        Log temperature, and scale.
    optimizer : Adam
    mean : MovingMean
        Of f.

    Raises
    ------
    TypeError
        If one is no number.
    ValueError
        If temperature is not above 0, or rate is below 0.
    """

    def __init__(self, temperature, scale, rate):
        temperature = validate.number("temperature", temperature, least=0, open_least=True)
        self.theta = np.array([math.log(temperature), validate.number("scale", scale)])
        self.optimizer, self.mean = Adam(rate), MovingMean(0.9)
        self._start = temperature, float(scale)

    @property
    def temperature(self):
        """At which the sample is relaxed."""
        return math.exp(self.theta[0])

    @property
    def scale(self):
        """What the control variate is multiplied by."""
        return float(self.theta[1])

    @property
    def level(self):
        """The running mean of f, nats; 0 before the first."""
        return self.mean.value or 0.0

    @property
    def learns(self):
        """Whether the two move."""
        return self.optimizer.rate != 0

    def step(self, slopes):
        """One step down slopes (2,). Raises ArithmeticError if one is not finite."""
        if not np.isfinite(slopes).all():
            raise ArithmeticError("the slope of the estimator's temperature and scale became non-finite")
        self.optimizer.step(self.theta, slopes)

    def state(self):
        """What was learnt so far, as arrays by name; an empty dict before anything was."""
        if self.mean.value is None:
            return {}
        parts = {"optimizer": self.optimizer.state(), "mean": self.mean.state()}
        kept = {f"{part}.{name}": np.array(value) for part, one in parts.items() for name, value in one.items()}
        return {"theta": self.theta.copy(), **kept}

    def restore(self, state):
        """Go on from what `state` returned; an empty dict is a fresh start."""
        self.theta = np.array(state["theta"] if state else [math.log(self._start[0]), self._start[1]])
        validate.check_shape("theta", self.theta, (2,))
        for part in ("optimizer", "mean"):
            start = f"{part}."
            own = {name[len(start) :]: value for name, value in state.items() if name.startswith(start)}
            getattr(self, part).restore(own)

    def __repr__(self):
        temperature, scale = self._start  # which say how it was made, whatever it learnt since
        return f"temperature={temperature}, scale={scale}, rate={self.optimizer.rate}"
