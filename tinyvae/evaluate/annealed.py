"""log p(x) by annealed importance sampling, from below and, on data drawn from the model, from both sides."""

import threading
from typing import NamedTuple

import numpy as np

from tinyvae import likelihoods, validate
from tinyvae.evaluate.bound import require_latents
from tinyvae.evaluate.chains import Ends, anneal, step_sizes, temperatures
from tinyvae.evaluate.log_likelihood import mean_over_points, standard_error, warn_of_few
from tinyvae.machine import progress, team, workers
from tinyvae.machine.arena import one_per_thread
from tinyvae.objectives import finite

__all__ = ["Annealed", "Sandwich", "annealed", "sandwich", "STARTS"]

ROWS = 500  # decoder rows that are held at once, a worker
STARTS = "prior", "encoder"
TRIAL_STEPS, TRIAL_CHAINS = 50, 8  # of the preliminary run, at least


class Annealed(NamedTuple):
    """log p(x) as annealed chains tell it, for each data point, nats.

    Attributes
    ----------
    value : array (n,)
        log of the mean of the chains' weights w, in expectation below log p(x).
    error : array (n,)
        The value's standard error, from the weights' spread: std(w) / (mean(w) sqrt(n_chains)). NaN for one chain.
    effective : array (n,)
        The effective number of chains, (sum w)^2 / sum w^2.
    acceptance : array (n,)
        The share of the moves that were taken.
    passes : int
        The cost: decoder passes a data point, each forward and back, those that find the step size included.
    """

    value: np.ndarray
    error: np.ndarray
    effective: np.ndarray
    acceptance: np.ndarray
    passes: int

    def mean(self):
        """(mean, standard error) over the data points, nats, as of `LogLikelihood`."""
        return mean_over_points(self.value, self.error)


class Sandwich(NamedTuple):
    """log p(x) of data drawn from the model, between two bounds that hold in expectation, nats.

    Attributes
    ----------
    lower : array (n,)
        As `Annealed.value`.
    upper : array (n,)
        -log of the mean of the backward chains' weights.
    acceptance : array (n,)
        The share of the moves that were taken, both ways.
    passes : int
        The cost of both, as in `Annealed`.
    x : array (n, D)
        The data drawn.
    """

    lower: np.ndarray
    upper: np.ndarray
    acceptance: np.ndarray
    passes: int
    x: np.ndarray

    def means(self):
        """{"lower": (mean, standard error), "upper": ..., "gap": upper - lower} over the data points, nats."""
        columns = {"lower": self.lower, "upper": self.upper, "gap": self.upper - self.lower}
        return {name: mean_over_points(values, np.full(1, np.nan)) for name, values in columns.items()}


def annealed(vae, x, rng, n_chains=16, n_steps=1000, n_leapfrog=2, start="prior", schedule="sigmoid"):
    """log p(x) by annealed importance sampling, which needs no q that is near the posterior.

    A chain starts at z ~ r, the prior or q(z | x), and moves by Hamiltonian Monte Carlo through densities f_t between
    r and p(x, z), T = n_steps of them; its weight is unbiased for p(x):

        f_t(z) = r(z)^(1 - b_t) p(x, z)^b_t,  0 = b_0 < ... < b_T = 1,  log w = sum_t log f_t(z_t-1) / f_t-1(z_t-1)

    The step sizes come from a preliminary run of chains of its own, a tenth as many temperatures: a latent's unit from
    the squares of the slopes, the step in these units so that .65 of the moves are taken. The run that counts holds
    them fixed; to adapt along the way would bias its weights. Chains stay apart; a point's step is its own.

    Parameters
    ----------
    vae : VAE
        The model, its latents continuous.
    x : array (n, D)
        The data.
    rng : numpy.random.Generator
        Its state decides the result, whatever the number of workers, and moves on.
    n_chains : int
        Chains a data point.
    n_steps : int
        T, the temperatures.
    n_leapfrog : int
        Steps of a trajectory, each a decoder pass forward and back. More temperatures are worth more than more of
        these.
    start : str
        "prior", whatever the encoder; or "encoder", q(z | x), from where the way is shorter if q is any good.
    schedule : str
        "sigmoid" (Wu et al. 2017), finest at both ends, or "linear".

    Returns
    -------
    Annealed
        Value, standard error and effective number of chains for each point; `mean()` is a data set's number.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, a likelihood that is no density, or latents without a slope.
    NonFiniteLoss
        If a term is not finite where the chains start.

    Warns
    -----
    UserWarning
        As `log_likelihood` does, of few effective chains.

    Notes
    -----
    The value is biased downwards, by about error^2 / 2 where that is small; where it is not, the gap of `sandwich`
    bounds the bias. value +- 1.96 error holds log p(x) in 95 of 100 cases where the error is below .3 or so and chains
    are enough to tell their spread: of 2,000 points, in 93 with 16 chains and in 91 with 8. Of mass that no chain has
    found, value and error tell nothing. A progress bar shows on a terminal.

    Source: Neal 2001; Wu, Burda, Salakhutdinov & Grosse 2017.
    """
    plan = _Plan(vae, rng, n_chains, n_steps, n_leapfrog, start, schedule)
    log_w, taken, passes = _chains(plan, vae.check_data(x))
    value, effective = _log_mean(log_w)
    warn_of_few("chains", effective, n_chains, "take more steps, or start='encoder' where it is trained")
    return Annealed(value, standard_error(effective, n_chains), effective, taken, passes)


def sandwich(vae, n, rng, n_chains=16, n_steps=1000, n_leapfrog=2, start="prior", schedule="sigmoid"):
    """How far annealed importance sampling is from log p(x): bounds from both sides, on data drawn from the model.

    For x drawn by way of z*, z* itself is an exact draw from the posterior. Chains that start there and go the way of
    `annealed` backwards have weights unbiased for 1 / p(x), so that

        E[log 1/C sum_c w_c] <= log p(x) <= E[-log 1/C sum_c w'_c]

    and the gap bounds the bias of either. It says so of data like the model's own; of other data, as far as they are
    like these.

    Parameters
    ----------
    vae : VAE
        The model, its latents continuous, its likelihood one that can be drawn from.
    n : int
        Data points to draw.
    rng, n_chains, n_steps, n_leapfrog, start, schedule
        As in `annealed`. The backward chains of a point share its z*.

    Returns
    -------
    Sandwich
        The bounds for each point; `means()` has both and the gap with standard errors.

    Raises
    ------
    ValueError or TypeError
        As in `annealed`, or for a likelihood that cannot be drawn from.
    NonFiniteLoss
        As in `annealed`.

    Notes
    -----
    A point's own bounds may cross: they hold in expectation, and the standard errors are those of the means over
    points, z* and chains drawn anew. From start="encoder", a q(z | x) of twice the posterior's variance or more gives
    the backward weights a heavy tail, and an upper bound that is mostly too high.

    Source: Grosse, Ghahramani & Adams 2015; Wu et al. 2017.
    """
    plan, n = _Plan(vae, rng, n_chains, n_steps, n_leapfrog, start, schedule), validate.integer("n", n, least=1)
    stream = np.random.default_rng(plan.seed.spawn(1)[0])
    z = np.ascontiguousarray(vae.prior.sample(stream, n, vae.n_latents, vae.dtype))
    says = vae.decode(z)
    if not hasattr(says, "sample"):
        raise TypeError(
            f"sandwich draws pixels, which the likelihood {vae.likelihood.name!r} cannot: let what it returns when "
            "called have a method sample(rng)"
        )
    x = np.asarray(says.sample(stream)).astype(vae.dtype)
    data = vae.check_data(x)
    forward, taken, passes = _chains(plan, data)
    backward, taken_back, passes_back = _chains(plan, data, z)
    lower, upper = _log_mean(forward)[0], -_log_mean(backward)[0]
    return Sandwich(lower, upper, (taken + taken_back) / 2, passes + passes_back, x)


class _Plan:
    """What `annealed` and `sandwich` are asked for, checked."""

    def __init__(self, vae, rng, n_chains, n_steps, n_leapfrog, start, schedule):
        require_latents("annealed importance sampling", vae)
        likelihoods.require_density(vae.likelihood, "annealed importance sampling")
        for owner, needed, what in ((vae.family, "path", "q"), (vae.prior, "log_prob_grad", "prior")):
            if not hasattr(owner, needed):
                few = ", or tv.evaluate.exact_log_likelihood up to 4,096 states" * (vae.n_states < np.inf)
                raise TypeError(
                    f"annealed importance sampling moves latents along a slope and needs {what}.{needed}, which "
                    f"{owner.name!r} does not have: take tv.evaluate.log_likelihood{few}"
                )
        self.vae, self.n_chains = vae, validate.integer("n_chains", n_chains, least=1)
        self.betas, self.n_leapfrog = (
            temperatures(n_steps, schedule),
            validate.integer("n_leapfrog", n_leapfrog, least=1),
        )
        self.trial = temperatures(min(n_steps, max(TRIAL_STEPS, n_steps // 10)), schedule)
        self.start = validate.choice("start", start, STARTS)
        self.seed = np.random.SeedSequence(validate.generator("rng", rng).integers(2**63, size=2))


def _chains(plan, x, exact=None):
    """All chains' log weights (C, n), the share of moves taken (n,), and passes a point.

    They go upwards, or downwards from exact draws z (n, K), which the chains of a point share.
    """
    n_points = max(1, ROWS // max(plan.n_chains, TRIAL_CHAINS))
    log_w, taken, passes = np.empty((plan.n_chains, len(x))), np.zeros(len(x)), {}
    arenas, lock = one_per_thread(), threading.Lock()

    def chunks():
        for i in range(0, len(x), n_points):
            for c in range(0, plan.n_chains, ROWS):
                yield slice(i, i + n_points), slice(c, c + ROWS), np.random.default_rng(plan.seed.spawn(1)[0])

    def run(chunk):
        points, chains, stream = chunk
        some, n = x[points], len(range(plan.n_chains)[chains])
        ends = Ends(plan.vae, some, _encoded(plan, some), arenas())
        step = step_sizes(ends, plan.trial, max(n, TRIAL_CHAINS), plan.n_leapfrog, stream)
        z, betas = (
            (ends.draw(n, stream), plan.betas) if exact is None else (_copies(exact[points], n), plan.betas[::-1])
        )

        def tick():
            with lock:
                bar.update(n * len(some))

        found = anneal(ends, z, betas, step, plan.n_leapfrog, stream, tick)
        return points, chains, *found, ends.target.gradients

    total = plan.n_chains * len(x) * max(0, len(plan.betas) - 2)
    with team.ready(), progress.bar(total, "move", unit_scale=True) as bar:
        for points, chains, weights, share, cost in workers.run(run, chunks()):
            log_w[chains, points] = weights
            taken[points] += share.sum(axis=0) / plan.n_chains
            passes[chains.start] = cost
    return log_w, taken, sum(passes.values())


def _encoded(plan, x):
    """q(z | x) of data points where chains start from it, else None."""
    if plan.start == "prior":
        return None
    q = plan.vae.encode(x)
    finite("the KL term", float(q.kl().sum()))
    return q


def _copies(z, n):
    """n chains at each of z (B, K), (n, B, K)."""
    return np.repeat(z[None], n, axis=0)


def _log_mean(log_w):
    """log of the mean of exp(log_w) (C, n) over axis 0, and the effective number, (n,) each."""
    high = log_w.max(axis=0)
    w = np.exp(log_w - high)
    return high + np.log(w.mean(axis=0)), w.sum(axis=0) ** 2 / (w * w).sum(axis=0)
