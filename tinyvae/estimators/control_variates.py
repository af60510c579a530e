"""The score function minus a function of z whose expectation is known: a Taylor expansion, a trained surrogate.

For any c(z):  d/dlambda E_q[f] = E_q[(f(z) - c(z)) dlog q/dlambda] + d/dlambda E_q[c],  c's own parameters held.
"""

import numpy as np

from tinyvae import validate
from tinyvae.estimators.contract import Draws
from tinyvae.estimators.learning import Learner, SmallNetwork
from tinyvae.estimators.traits import estimator
from tinyvae.objectives import Integrand

__all__ = ["delta_method", "Relax"]


@estimator(objective="average", q=("mu", "std", "score", "join"), f=("value", "grad"))
def delta_method(q, target, eps, objective=None, rng=None):
    """The score function with f's second-order Taylor expansion at mu as control variate.

        c(z) = f(mu) + g'(z - mu) + 1/2 (z - mu)' H (z - mu),  g = df/dz,  H = d2f/dz2, both at mu
        d/dmu_k E_q[c] = g_k,  d/dlogvar_k E_q[c] = 1/2 H_kk std_k^2

    A row of H is a central difference of df/dz over a step of std_k / 4; an inexact H costs variance, not bias.
    Wins: f is nearly quadratic within q's width: what is left is the remainder only. Loses: q is wide or f far
    from quadratic, where c adds noise; and where the pathwise estimator, which needs df/dz as well, is good already.
    Costs one f a sample, plus one f and 2 K + 1 of df/dz a data point.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution with `mu`, `std`, `score` and `join`
        One for each of B data points.
    target : Target
        f and df/dz.
    eps : array (S, B, K)
        Standard normal noise, in q's dtype.
    objective : ELBO or another that averages, optional
        None takes the plain expectation of f.
    rng : numpy.random.Generator, optional
        Not asked.

    Returns
    -------
    Draws
        f (S, B), nats, and dparams (S, B, 2K).

    Raises
    ------
    ValueError
        Under ImportanceWeighted; if the target has no gradient, q lacks what is named above, a shape does not fit, or
        eps, f or df/dz is not finite.
    TypeError
        If `objective` is no objective, or eps is not of q's dtype.

    Notes
    -----
    Source: Paisley, Blei & Jordan 2012, section 3.2.
    """
    loss = Integrand(q, target, objective)
    z = q.sample(eps)  # S, B, K
    f = loss(z)  # S, B
    f_mu = loss(np.ascontiguousarray(q.mu[None]))  # 1, B
    g = loss.grad(np.ascontiguousarray(q.mu[None]))  # 1, B, K
    step = 0.25 * q.std  # B, K
    offsets = np.eye(z.shape[2], dtype=z.dtype)[:, None] * step  # K, B, K
    up, down = np.split(loss.grad(q.mu + np.concatenate([offsets, -offsets])), 2)  # K, B, K each
    H = (up - down) / (2 * step.T[..., None])  # K, B, K
    moved = z - q.mu  # S, B, K
    c = f_mu + (moved * (g + 0.5 * np.einsum("sbj,jbk->sbk", moved, H))).sum(axis=2)  # S, B
    expected = q.join(g[0], 0.5 * np.einsum("kbk->bk", H) * q.std * q.std)  # B, 2K
    dparams = (f - c)[..., None] * q.score(z) + expected  # S, B, 2K
    return Draws(f, dparams)


@estimator(objective="average", q=("score", "path or given_path", "moved or given_moved", "moved or odds"), costly=True)
class Relax(Learner):
    """The score function with a trained surrogate c(z) as control variate (RELAX; where z is continuous, "LAX").

        (f(z) - c(z)) dlog q(z)/dlambda + dc/dz dz/dlambda
        (f(z) - c(a)) dlog q(z)/dlambda + dc/da [da/dlambda - da/dlambda given z]    where z is discrete

    a are the odds of which z is made by a threshold; the last term is their path with z held, the noise being drawn
    given z, here the noise that made z. c is a small network of [z, mu, logvar], or [a, logits], trained alongside to
    minimise the variance: it descends the mean square of the estimate itself. Wins: f is a black box, smooth, and has
    to be estimated for long. Loses: before c is trained; where df/dz is to be had, the pathwise estimator is cheaper,
    and for bits `rebar` knows more: give a `temperature`, and c is f itself at the relaxed sample, and the network what
    f(z) differs from that by. Costs one f a sample and a small network; with a temperature one f and one df/dz more.

    It makes a callable (q, target, eps, objective, rng) -> Draws.

    Parameters
    ----------
    hidden : iterable of int, optional
        The sizes of the network's hidden layers.
    rate : float, optional
        Adam's step size, in units of the network's weights.
    seed : int, optional
        For the network's initial weights.
    step : float, optional
        The length |h v| of the directional difference in training, in units of z.
    temperature : float, optional
        For discrete z, with df/dz: c is then f at the sample relaxed at it, plus the network. None: the network alone.

    Attributes
    ----------
    learnt : SmallNetwork
        The network.
    step : float
        As given.
    temperature : float or None
        As given.

    Raises
    ------
    TypeError
        If an option is of the wrong type. At a call: if `objective` is no objective, or eps is not of q's dtype.
    ValueError
        If one of `hidden` is below 1, rate or seed below 0, or step or temperature not above 0. At a call: under
        ImportanceWeighted; with a temperature, if z is not discrete or the target has no gradient;
        if q lacks `score`, `path` or `moved` (for odds: `given_path` or `given_moved`), a shape does not fit, or eps or
        f is not finite.

    Notes
    -----
    The training gradient needs d/dtheta of v' dc/dz, a mixed second derivative. It is taken as a directional
    difference, (c(z + h v) - c(z - h v)) / 2h with |h v| = `step`, in float64: its relative error is about step^2.

    Source: Grathwohl et al. 2018, section 3: LAX eq. 6, RELAX eq. 9, f and a network together 3.3.
    """

    def __init__(self, hidden=(64,), rate=1e-3, seed=0, step=1e-4, temperature=None):
        super().__init__(SmallNetwork(hidden, rate, seed))
        self.step = validate.number("step", step, least=0, open_least=True)
        if temperature is not None:
            validate.number("temperature", temperature, least=0, open_least=True)
        self.temperature = temperature

    def __call__(self, q, target, eps, objective=None, rng=None):
        """eps (S, B, K), objective None or an ELBO, rng not asked -> Draws: f (S, B), nats, dparams (S, B, 2K)."""
        loss = Integrand(q, target, objective)
        z = q.sample(eps)  # S, B, K
        f = loss(z)  # S, B
        place, path, moved = _smooth(q, z, eps)
        known, slope = (0, 0) if self.temperature is None else self._relaxed(q, loss, place)
        inputs = _with_context(place, q)  # S * B, 3K
        c, cache = self.learnt(inputs)  # S * B
        dc = self.learnt.input_gradient(cache)[:, : z.shape[2]].reshape(z.shape).astype(z.dtype)  # S, B, K
        score = q.score(z)  # S, B, 2K
        left = f - known  # S, B: what the network is to predict
        dparams = (left - c.reshape(f.shape).astype(f.dtype))[..., None] * score + path(dc + slope, eps)  # S, B, 2K
        v = moved(dparams, eps)  # S, B, K: dz/dlambda dparams
        self._seen = left, inputs, cache, (dparams * score).sum(axis=2), v
        return Draws(f, dparams)

    def _relaxed(self, q, loss, odds):
        """f at the relaxed sample, (S, B), and its slope in the odds, (S, B, K)."""
        if not hasattr(q, "relaxed"):
            raise ValueError(
                f"relax with a temperature is for discrete latents, got a {type(q).__name__}: leave it out"
            )
        y = q.relaxed(odds, self.temperature)
        return loss(y), q.relaxed_path(loss.grad(y), y, self.temperature)

    def learn(self, left, inputs, cache, along_score, v):
        """One step of the surrogate down the last estimate's mean square. Raises ArithmeticError if it diverged."""
        self.learnt.learn(self.passes(inputs, cache, along_score, v), left)

    def passes(self, inputs, cache, along_score, v):
        """The slope of the estimate's mean square, as backward passes of the network.

            d/dtheta mean |g|^2 = mean [-2 (g' score) dc/dtheta + 2 d/dtheta v' dc/dz]

        Parameters
        ----------
        inputs : array (S * B, 3K)
            [z, mu, logvar] of each sample, float64.
        cache : Cache
            The network's, of a call with these inputs.
        along_score : array (S, B)
            g' score, g being a sample's contribution to the estimate.
        v : array (S, B, K)
            dz/dlambda g.

        Returns
        -------
        list of (Cache, array (S * B,))
            What `SmallNetwork.learn` takes: a cache and the slopes of its rows.
        """
        n = along_score.size
        v = v.reshape(n, -1).astype("float64")
        length = np.maximum(np.linalg.norm(v, axis=1), np.finfo("float64").tiny)  # n
        moved = np.zeros_like(inputs)
        moved[:, : v.shape[1]] = self.step * v / length[:, None]
        _, ahead = self.learnt(inputs + moved)
        _, behind = self.learnt(inputs - moved)
        slope = length / (self.step * n)  # n: 2 |v| / (2 step)
        return [(cache, -2 * along_score.reshape(n).astype("float64") / n), (ahead, slope), (behind, -slope)]

    def __repr__(self):
        temperature = "" if self.temperature is None else f", temperature={self.temperature}"
        return f"Relax({self.learnt}, step={self.step}{temperature})"


def _smooth(q, z, eps):
    """Where c is asked; a slope there taken back to params; and how that place moves when params do."""
    if not hasattr(q, "odds"):
        return z, q.path, q.moved
    return (
        q.odds(eps),
        lambda slope, eps: slope - q.given_path(slope, eps),
        lambda dparams, eps: dparams - q.given_moved(dparams, eps),
    )


def _with_context(z, q):
    """[z, mu, logvar] of each sample, (S * B, 3K), float64."""
    context = np.broadcast_to(q.params, (len(z), *q.params.shape))
    return np.concatenate([z, context], axis=2).reshape(-1, z.shape[2] + q.params.shape[1]).astype("float64")
