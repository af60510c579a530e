"""Chains that are annealed from one density to another, and the step sizes that they are given beforehand."""

import numpy as np

from tinyvae import validate
from tinyvae.evaluate import hamiltonian
from tinyvae.objectives import finite

__all__ = ["Ends", "anneal", "step_sizes", "temperatures", "SCHEDULES"]

SCHEDULES = ("sigmoid", "linear")
ACCEPTANCE = 0.65  # what the step size aims at (Neal 2011)


def temperatures(n_steps, schedule="sigmoid"):
    """0 = b_0 < b_1 < ... < b_T = 1.

    Parameters
    ----------
    n_steps : int
        T.
    schedule : str
        "sigmoid": (s_t - s_0) / (s_T - s_0), s_t = sigmoid(8 t / T - 4); or "linear": t / T.

    Returns
    -------
    array (T + 1,)

    Raises
    ------
    ValueError or TypeError
        For input that does not fit.

    Notes
    -----
    Source: Wu et al. 2017, their code.
    """
    t = np.arange(validate.integer("n_steps", n_steps, least=1) + 1) / n_steps
    if validate.choice("schedule", schedule, SCHEDULES) == "linear":
        return t
    s = 1 / (1 + np.exp(4 - 8 * t))
    return (s - s[0]) / (s[-1] - s[0])


class Ends:
    """The two densities between which chains go, for a few data points: r(z), and p(x, z).

    Parameters
    ----------
    vae : VAE
    x : array (B, D)
        As `vae.check_data` returns it.
    q : DiagonalGaussian or another distribution, or None
        r, one for each point; None for the prior.
    arena : Arena
        For the decoder's arrays.

    Attributes
    ----------
    target : Target
        -log p(x | z), which counts what it is asked.
    """

    def __init__(self, vae, x, q, arena):
        self.vae, self.q, self.arena, self.n_points = vae, q, arena, len(x)
        self.target = vae.target(x).using(arena)
        self.target.check_finite = lambda name, result: None  # a trajectory that runs away is refused

    def draw(self, n, rng):
        """n draws z from r for each point, (n, B, K)."""
        if self.q is not None:
            return self.q.sample(self.q.noise(rng, n))
        z = self.vae.prior.sample(rng, n * self.n_points, self.vae.n_latents, self.vae.dtype)
        return z.reshape(n, self.n_points, self.vae.n_latents)

    def look(self, z):
        """Both densities at z (S, B, K), a Place: one decoder pass forward and back."""
        self.arena.rewind()  # nothing of the last pass is asked for again
        slope, loss, prior = self.target.grad(z), self.target(z), self.vae.prior
        first, dfirst = prior.log_prob(z).astype("float64"), prior.log_prob_grad(z)
        both, dboth = first - loss, dfirst - slope
        if self.q is not None:
            first, dfirst = self.q.log_prob(z).astype("float64"), self.q.log_prob_grad(z)
        return hamiltonian.Place(z, (first, both), (dfirst, dboth))

    def begin(self, z):
        """The same where chains start: raises NonFiniteLoss unless all is finite there."""
        place = self.look(z)
        for log in place.logs:
            finite("the log weight", log)
        return place


def anneal(ends, z, betas, step, n_leapfrog, rng, tick=lambda: None):
    """Move chains through f_b = r^(1 - b) p^b, b along betas, and weigh them.

        log w = sum_t (b_t - b_t-1) [log p(x, z_t-1) - log r(z_t-1)]

    Upwards from z ~ r, w is unbiased for p(x); downwards from z ~ p(z | x), for 1 / p(x).

    Parameters
    ----------
    ends : Ends
    z : array (S, B, K)
        Where the chains start: draws from f of the first of the betas.
    betas : array (T + 1,)
        From 0 to 1, or from 1 to 0.
    step : function
        b -> step sizes (B, K).
    n_leapfrog : int
        Of a trajectory.
    rng : numpy.random.Generator
    tick : function
        Called after each move.

    Returns
    -------
    array (S, B)
        log w.
    array (S, B)
        The share of the moves that were taken.
    """
    place = ends.begin(z)
    log_w, taken = np.zeros(z.shape[:2]), np.zeros(z.shape[:2])
    for before, beta in zip(betas, betas[1:]):
        log_w += (beta - before) * (place.logs[1] - place.logs[0])
        if beta == betas[-1]:
            break  # a move there would change no weight
        here = place.z
        place, _ = hamiltonian.move(ends.look, place, _powers(beta), step(beta), n_leapfrog, rng)
        taken += (place.z != here).any(axis=2)
        tick()
    return log_w, taken / max(1, len(betas) - 2)


def _powers(beta):
    return 1 - float(beta), float(beta)


def step_sizes(ends, betas, n_chains, n_leapfrog, rng):
    """The step sizes for `anneal`, found by chains that adapt them on their way up.

    A latent's unit is 1 / sqrt(E[(d log f / dz)^2]): E[slope^2] is the mean curvature where chains are at rest. The
    step in these units grows where more than .65 of the moves are taken, and falls where fewer are.

    Parameters
    ----------
    ends, n_leapfrog, rng
        As in `anneal`.
    betas : array (T + 1,)
        From 0 to 1, few of them.
    n_chains : int
        S.

    Returns
    -------
    function
        b -> step sizes (B, K), of the chains' last word near b.
    """
    place = ends.begin(ends.draw(n_chains, rng))
    log_step = np.full((place.z.shape[1], 1), -0.25 * np.log(place.z.shape[2]))  # B, 1
    inner, found, squares = betas[1:-1], [], None
    for beta in inner:
        powers = _powers(beta)
        new = np.square(place.slope(powers), dtype="float64").mean(axis=0)  # B, K
        squares = new if squares is None else 0.8 * squares + 0.2 * new
        found.append(log_step - 0.5 * np.log(squares + 1e-30))
        place, probability = hamiltonian.move(ends.look, place, powers, np.exp(found[-1]), n_leapfrog, rng)
        log_step = log_step + 0.2 * (probability.mean(axis=0)[:, None] - ACCEPTANCE)

    def step(beta):
        """On a straight line of the logarithms between the two temperatures nearest to beta."""
        right = int(np.clip(np.searchsorted(inner, beta), 1, len(inner) - 1)) if len(inner) > 1 else 0
        left = max(0, right - 1)
        share = 0.0 if left == right else np.clip((beta - inner[left]) / (inner[right] - inner[left]), 0, 1)
        return np.exp((1 - share) * found[left] + share * found[right])

    return step
