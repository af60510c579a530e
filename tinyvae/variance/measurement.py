"""`measure` and `measure_target`: the estimators of a VAE's gradient, or of any target's, on the same noise."""

import copy

from tinyvae import validate
from tinyvae.estimators import Target
from tinyvae.estimators.traits import decoder_sample, trains_elsewhere
from tinyvae.evaluate import require_latents
from tinyvae.likelihoods import takes_bits
from tinyvae.machine.arena import one_per_thread
from tinyvae.machine.bits import as_bits
from tinyvae.objectives import PLAIN
from tinyvae.variance import cost
from tinyvae.variance.moments import Outputs, squarable
from tinyvae.variance.plan import Plan
from tinyvae.variance.replicates import replicates
from tinyvae.variance.report import report
from tinyvae.variance.weights import DecoderWeights, EncoderWeights, decoder_gradients

__all__ = ["measure", "measure_target", "block_names", "vae_moments", "chosen_blocks"]

DECODER_ROWS = 1_000  # rows of a decoder pass that are held at once, by each worker
NEEDED = ("params", "dtype", "mean", "noise", "sample", "like", "split", "by_params", "kl_grad")  # of q
TARGET_NUMBERS = 200_000  # elements of z that are held at once for a target without a network


def measure(
    vae,
    x,
    estimators=Plan.estimators,
    objective=Plan.objective,
    n_draws=Plan.n_draws,
    n_samples=Plan.n_samples,
    seed=Plan.seed,
    n_timings=Plan.n_timings,
    noise=Plan.noise,
    blocks=None,
    warmup=Plan.warmup,
):
    """Measure estimators of a VAE's gradient at its present parameters, on one batch, with the same noise.

    An estimator that learns (it has `update`) and is given by its name is made afresh and learns first, by `warmup`
    calls and updates on this batch, with noise of its own; then it is measured as it has become. One that is given
    as a callable is measured as it is. Neither learns from being measured: fresh copies of it are, so that of one whose
    calls themselves change it, which no certificate passes, only the first call is seen. Replicates lie side by side on
    the batch axis: one that links data points, by a baseline from the whole batch or by a random number for all, is
    measured as on a larger batch.

    The replicates are worked on in chunks by all workers (`tinyvae.workers`); their number changes no bit of the
    result (BLAS's own threads, which one worker leaves to it, may change the last).

    Intervals are Student's over replicates, the variance's on the log scale; the degrees of freedom fall with the
    excess kurtosis that the replicates show (`variance.report.freedom`), so that a heavy tail, which shows itself late,
    makes them wide. How many of the 95% intervals hold the truth, at 100, 1,000 and 10,000 draws (of 800, 800 and
    300; "ties" are two score functions, or two reparameterizations, of independent noise):

        d/dlogvar of                         variance          signal-to-noise   ties
        score function, z^2 at N(0, 1)       95%  96%  96%    100% 100%  99%    99%  99%  99%
        score function, (z + 3)^2 at N(1, 1) 97%  96%  97%    100%  92%  96%    99%  98%  98%
        reparameterization, of the same      98%  97%  96%     90%  96%  96%    98%  97%  97%
        score function, exp(-z^2), N(1, 1)   98%  95%  96%     89%  94%  95%    98%  95%  96%

    Reparameterization's signal-to-noise of d/dmu, of the last: 92%, 96% and 95%, and 87% at 30 draws. Below 30 draws
    the variance's intervals are too short: 62% to 92% of those from 10 hold the truth. A heavy tail that no replicate
    has shown yet is in no interval.

    Parameters
    ----------
    vae : VAE
        The model, which stays as it is.
    x : array (B, D)
        One batch, as `vae.loss_and_grads` takes it.
    estimators : sequence of str or callable
        Names, or callables (q, target, eps, objective, rng) -> Draws, a callable being reported under its __name__.
    objective : ELBO or ImportanceWeighted
        What the gradient is of.
    n_draws : int
        Independent replicates of the whole n_samples estimate, at least 2.
    n_samples : int
        Samples a data point in each replicate.
    seed : int
        Of all noise.
    n_timings : int
        Repeats of which each time is the median, 0 for no timing.
    noise : str or callable
        A scheme or its name, see `tv.noise`.
    blocks : sequence of str or None
        Which to measure, of `block_names(vae)`; None for all. An encoder or decoder left out costs nothing.
    warmup : int
        Calls and updates by which an estimator that learns, given by its name, learns first.

    Returns
    -------
    dict
        {name: Report}, with these blocks.

        "mu", "logvar": (B, K), each data point's gradient of its own loss, an analytic KL's included, not divided by B;
        of bits and choices "logits", (B, P).

        "encoder", "decoder": (P,), aligned with that part of theta, the gradient of the loss, the mean over the batch:
        report.mean["encoder"] is what `vae.loss_and_grads` gives on average. The decoder's gradient, taken at
        z = q.sample(eps), is the same under all estimators but those that carry a `decoder_sample`:
        measured once, and shared.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, before anything is computed; for an estimator that returns what it must not, or
        gradients too large to be squared.

    Notes
    -----
    Source: the closed forms that the tests reproduce, Mohamed et al. 2020, section 3. The encoder's shortcut is
    explained at `variance.weights.EncoderWeights`.
    """
    require_latents("the variance of a gradient", vae)
    data = vae.check_data(x)
    plan = Plan(estimators, objective, n_draws, n_samples, seed, n_timings, noise, warmup)
    blocks = chosen_blocks(blocks, block_names(vae))
    x = data.astype(vae.dtype, copy=False)
    q = vae.encode(x)
    eps = plan.eps(q)
    plan.warm([(q, vae.target(x))])
    bits = as_bits(data) if takes_bits(vae.likelihood) else data
    as_trained = x if bits.dtype.kind == "f" else bits
    costs = cost.costs(lambda function: cost.vae_call(vae, as_trained, eps, function, plan.objective), plan)
    moments = vae_moments(vae, x, plan, blocks)
    return {name: report(name, moments[name], plan, vae.dtype, costs[name]) for name in plan.functions}


def block_names(vae):
    """What can be measured of a VAE's gradient.

    Parameters
    ----------
    vae : VAE
        The model.

    Returns
    -------
    tuple of str
        The blocks of q's parameters, "encoder", "decoder".
    """
    return (*vae.family.blocks, "encoder", "decoder")


def vae_moments(vae, x, plan, blocks):
    """The moments of a VAE's gradient, everything being checked and the estimators being warm.

    Parameters
    ----------
    vae : VAE
        The model.
    x : array (B, D)
        One batch, of the model's dtype.
    plan : Plan
        What is measured.
    blocks : sequence of str
        Which blocks, of `block_names(vae)`.

    Returns
    -------
    dict
        {name: {block: Block}}.
    """
    params, cache = vae.encoder.propagate(x)
    q, target = vae.latents(params), vae.target(x)
    outputs = {name: Outputs(q) for name in plan.functions}
    encoders = {}
    if "encoder" in blocks:
        encoders = {name: EncoderWeights(vae.encoder, cache, plan.n_draws) for name in plan.functions}
    elsewhere = {name: one for name, one in plan.functions.items() if trains_elsewhere(one)}
    trained = {**elsewhere, None: None} if len(elsewhere) < len(plan.functions) else elsewhere
    decoders = {name: DecoderWeights(vae.decoder) for name in (trained if "decoder" in blocks else ())}
    arena = one_per_thread()

    def gradients(tiled, target, eps):
        z = tiled.sample(eps)
        at = {name: decoder_sample(trained[name], tiled, eps, z) for name in decoders}
        return {
            name: decoder_gradients(vae.decoder, tiled, target, at[name], plan.objective, len(x)) for name in decoders
        }

    per_chunk = max(1, DECODER_ROWS // (plan.n_samples * len(x)))
    also = gradients if decoders else None
    for draws, formed in replicates(q, lambda: target.using(arena()), plan, per_chunk, also):
        for name, dparams in draws.items():
            u, before = outputs[name].add(dparams)
            if encoders:
                encoders[name].add(u, before)
        for name, decoder in decoders.items():
            decoder.add(formed[name])
    of_decoder = {name: decoder.finish() for name, decoder in decoders.items()}
    moments = {}
    for name in plan.functions:
        found = {**outputs[name].finish(), "decoder": of_decoder.get(name if name in elsewhere else None)}
        if encoders:
            found["encoder"] = encoders[name].finish(outputs[name].mean)
        moments[name] = squarable(name, {block: found[block] for block in blocks})
    return moments


def measure_target(
    q,
    target,
    estimators=Plan.estimators,
    objective=None,
    n_draws=Plan.n_draws,
    n_samples=Plan.n_samples,
    seed=Plan.seed,
    n_timings=Plan.n_timings,
    noise=Plan.noise,
    warmup=Plan.warmup,
):
    """Measure estimators of d E_q[f(z)] / d params for any target: `measure` without the networks.

    Parameters
    ----------
    q : DiagonalGaussian or another distribution
        Over K latents, one for each of B data points.
    target : Target
        Always asked about z (S, B, K) with q's B, so that it may hold data for each row, and by several threads, so
        that its answer must depend on z alone.
    estimators : sequence of str or callable
        As in `measure`.
    objective : ELBO, ImportanceWeighted or None
        None for the plain expectation.
    n_draws : int
        As in `measure`, as are all that follow.
    n_samples : int
        Samples a data point in each replicate.
    seed : int
        Of all noise.
    n_timings : int
        Repeats of the timing, 0 for none.
    noise : str or callable
        A scheme or its name.
    warmup : int
        Calls and updates of an estimator that learns.

    Returns
    -------
    dict
        {name: Report}, with q's blocks, "mu" and "logvar", (B, K), or "logits", (B, P); step_milliseconds is NaN.

    Raises
    ------
    ValueError or TypeError
        For input that does not fit, and for an estimator or a target that returns what it must not, or gradients too
        large to be squared.
    """
    if missing := [name for name in NEEDED if not hasattr(q, name)]:
        raise TypeError(
            f"q must be a DiagonalGaussian or another distribution, got {type(q).__name__}, "
            f"which lacks {', '.join(missing)}"
        )
    if not isinstance(target, Target):
        raise TypeError(f"target must be a Target, tv.Target(value, grad), got {type(target).__name__}")
    plan = Plan(
        estimators, PLAIN if objective is None else objective, n_draws, n_samples, seed, n_timings, noise, warmup
    )
    eps = plan.eps(q)
    plan.warm([(q, target)])
    costs = cost.costs(lambda function: cost.target_call(q, target, eps, function, plan.objective), plan)
    outputs = {name: Outputs(q) for name in plan.functions}
    per_chunk = max(1, TARGET_NUMBERS // (plan.n_samples * q.mean.size))
    for draws, _ in replicates(q, lambda: copy.deepcopy(target), plan, per_chunk):
        for name, dparams in draws.items():
            outputs[name].add(dparams)
    moments = {name: squarable(name, outputs[name].finish()) for name in plan.functions}
    return {name: report(name, moments[name], plan, q.dtype, costs[name]) for name in plan.functions}


def chosen_blocks(blocks, names):
    """The blocks to measure, in reading order.

    Parameters
    ----------
    blocks : sequence of str or None
        Those asked for; None for all.
    names : tuple of str
        Those there are.

    Returns
    -------
    tuple of str

    Raises
    ------
    TypeError, ValueError
        If none is asked for, or one that there is not.
    """
    if blocks is None:
        return names
    if isinstance(blocks, str) or not blocks:
        raise TypeError(
            f"blocks must be a sequence of some of {', '.join(names)}, got {blocks!r}; put a name in a tuple"
        )
    for block in blocks:
        validate.choice("each of blocks", block, names)
    return tuple(block for block in names if block in blocks)
