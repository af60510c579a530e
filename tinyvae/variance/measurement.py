"""`measure` and `measure_target`: the estimators of a VAE's gradient, or of any target's, on the same noise."""

import copy

from tinyvae import validate
from tinyvae.estimators import Target
from tinyvae.machine.arena import one_per_thread
from tinyvae.machine.sparse import as_bits
from tinyvae.objectives import PLAIN
from tinyvae.variance import cost
from tinyvae.variance.moments import Outputs
from tinyvae.variance.plan import Plan
from tinyvae.variance.replicates import replicates, unsplit
from tinyvae.variance.report import report
from tinyvae.variance.weights import DecoderWeights, EncoderWeights, decoder_gradients

__all__ = ["measure", "measure_target", "block_names", "vae_moments"]

DECODER_ROWS = 1_000  # rows of a decoder pass that are held at once, by each worker
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

    x: (B, D), as `vae.loss_and_grads` takes it; estimators: names or callables (q, target, eps, objective, rng) ->
    Draws, a callable being reported under its __name__; objective: an ELBO or ImportanceWeighted; n_draws: independent
    replicates of the whole n_samples estimate, at least 2; n_timings: repeats of which each time is the median, 0 for
    no timing; noise: a scheme or its name, see `tv.noise`; blocks: which to measure; what is left out costs nothing.

    Returns {name: Report} with the blocks
        "mu", "logvar": (B, K), each data point's gradient of its own loss, an analytic KL's included, not divided by B;
        "encoder", "decoder": (P,), aligned with that part of theta, the gradient of the loss, the mean over the batch:
            report.mean["encoder"] is what `vae.loss_and_grads` gives on average.
    The decoder's gradient, taken at z = q.sample(eps), is the same under all estimators: measured once, and shared.

    An estimator that learns (it has `update`) and is given by its name is made afresh and learns first, by `warmup` calls
    and updates on this batch, with noise of its own; then it is measured as it has become. One that is given
    as a callable is measured as it is. Neither learns from being measured. Replicates lie side by side on the batch axis: one that
    links data points, by a baseline from the whole batch or by a random number for all, is measured as on a larger batch.

    The replicates are worked on in chunks by all workers (`tinyvae.workers`); their number changes no bit of the
    result (BLAS's own threads, which one worker leaves to it, may change the last).

    Intervals come from the central limit theorem over replicates, the variance's on the log scale. A heavy tail shows
    itself late, and its interval is then too short: for (z + 3)^2 at N(1, 1) and 1,000 draws, 93% of the score
    function's intervals for d/dmu and 87% of those for d/dlogvar hold the truth (95% and 93% with 10,000).

    Raises ValueError or TypeError for input that does not fit, before anything is computed.
    Source: the closed forms that the tests reproduce, Mohamed et al. 2020, section 3. The encoder's shortcut is
    explained at `variance.weights.EncoderWeights`.
    """
    data = vae.check_data(x)
    plan = Plan(estimators, objective, n_draws, n_samples, seed, n_timings, noise, warmup)
    blocks = _chosen(blocks, block_names(vae))
    x = data.astype(vae.dtype, copy=False)
    q = unsplit(vae.encode, x)
    eps = plan.eps(q)
    unsplit(plan.warm, [(q, vae.target(x))])
    as_trained = x if data.dtype.kind == "f" and as_bits(data) is data else as_bits(data)
    calls = {
        name: cost.vae_call(vae, as_trained, eps, function, objective) for name, function in plan.functions.items()
    }
    costs = cost.timed(calls, plan.n_timings)
    moments = vae_moments(vae, x, plan, blocks)
    return {name: report(moments[name], plan, vae.dtype, costs[name]) for name in plan.functions}


def block_names(vae):
    """What can be measured of a VAE's gradient: the blocks of q's parameters, "encoder", "decoder"."""
    return (*vae.family.blocks, "encoder", "decoder")


def vae_moments(vae, x, plan, blocks):
    """{name: {block: Block}}, everything being checked and the estimators being warm."""
    params, cache = unsplit(vae.encoder.propagate, x)
    q, target = vae.latents(params), vae.target(x)
    outputs = {name: Outputs(q) for name in plan.functions}
    encoders = {}
    if "encoder" in blocks:
        encoders = {name: EncoderWeights(vae.encoder, cache, plan.n_draws) for name in plan.functions}
    decoder = DecoderWeights(vae.decoder) if "decoder" in blocks else None
    arena = one_per_thread()

    def gradients(tiled, target, eps):
        return decoder_gradients(vae.decoder, tiled, target, eps, plan.objective, len(x))

    per_chunk = max(1, DECODER_ROWS // (plan.n_samples * len(x)))
    also = gradients if decoder else None
    for draws, formed in replicates(q, lambda: target.using(arena()), plan, per_chunk, also):
        for name, dparams in draws.items():
            u, before = outputs[name].add(dparams)
            if encoders:
                encoders[name].add(u, before)
        if decoder:
            decoder.add(formed)
    shared = decoder.finish() if decoder else None
    moments = {}
    for name in plan.functions:
        found = {**outputs[name].finish(), "decoder": shared}
        if encoders:
            found["encoder"] = encoders[name].finish(outputs[name].mean)
        moments[name] = {block: found[block] for block in blocks}
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
    """Measure estimators of d E_q[f(z)] / d [mu, logvar] for any target: `measure` without the networks.

    q: DiagonalGaussian (B, K); target: Target, always asked about z (S, B, K) with q's B, so that it may hold data
    for each row, and by several threads, so that its answer must depend on z alone; objective: None for the plain
    expectation, an ELBO or ImportanceWeighted; the rest as in `measure`.
    Returns {name: Report} with the blocks "mu" and "logvar", (B, K); step_milliseconds is NaN.
    """
    if missing := [name for name in NEEDED if not hasattr(q, name)]:
        raise TypeError(
            f"q must be a DiagonalGaussian or another distribution, got {type(q).__name__}, which lacks {', '.join(missing)}"
        )
    if not isinstance(target, Target):
        raise TypeError(f"target must be a Target, tv.Target(value, grad), got {type(target).__name__}")
    plan = Plan(
        estimators, PLAIN if objective is None else objective, n_draws, n_samples, seed, n_timings, noise, warmup
    )
    eps = plan.eps(q)
    unsplit(plan.warm, [(q, target)])
    calls = {
        name: cost.target_call(q, target, eps, function, plan.objective) for name, function in plan.functions.items()
    }
    costs = cost.timed(calls, plan.n_timings)
    outputs = {name: Outputs(q) for name in plan.functions}
    per_chunk = max(1, TARGET_NUMBERS // (plan.n_samples * q.mean.size))
    for draws, _ in replicates(q, lambda: copy.deepcopy(target), plan, per_chunk):
        for name, dparams in draws.items():
            outputs[name].add(dparams)
    return {name: report(outputs[name].finish(), plan, q.dtype, costs[name]) for name in plan.functions}


NEEDED = ("params", "noise", "sample", "like", "split", "by_params")


def _chosen(blocks, names):
    """The blocks to measure, in reading order: all for None."""
    if blocks is None:
        return names
    if isinstance(blocks, str) or not blocks:
        raise TypeError(
            f"blocks must be a sequence of some of {', '.join(names)}, got {blocks!r}; put a name in a tuple"
        )
    for block in blocks:
        validate.choice("each of blocks", block, names)
    return tuple(block for block in names if block in blocks)
