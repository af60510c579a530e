"""`measure` and `measure_target`: the estimators of a VAE's gradient, or of any target's, on the same noise."""

import copy

import numpy as np

from tinyvae import estimators as registry
from tinyvae import noise as schemes
from tinyvae import validate
from tinyvae.arena import one_per_thread
from tinyvae.distributions import LIKELIHOODS, DiagonalGaussian
from tinyvae.estimators import Target
from tinyvae.objectives import ELBO, PLAIN, check_objective
from tinyvae.vae import Reconstruction
from tinyvae.variance import cost
from tinyvae.variance.moments import Outputs
from tinyvae.variance.replicates import replicates, unsplit, warmed
from tinyvae.variance.report import report
from tinyvae.variance.weights import DecoderWeights, EncoderWeights, decoder_gradients

BLOCKS = ("mu", "logvar", "encoder", "decoder")
DECODER_ROWS = 1_000  # rows of a decoder pass that are held at once, by each worker
TARGET_NUMBERS = 200_000  # elements of z that are held at once for a target without a network


def measure(vae, x, estimators=("score_function", "reparameterization"), objective=ELBO(), n_draws=1000, n_samples=1, seed=0,
            n_timings=11, noise="independent", blocks=BLOCKS, warmup=200):
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
    x = vae._data(x)
    check_objective(objective)
    (functions, fresh), noise = functions_of(estimators), schemes.resolve(noise)
    counts = counts_of(n_draws, n_samples, n_timings, seed, warmup)
    blocks = blocks_of(blocks)
    q = unsplit(vae.encode, x)
    eps = checked_noise(noise, functions, objective, q, counts["n_samples"], counts["seed"])
    functions = unsplit(warmed, functions, fresh, [(q, reconstruction(vae, x))], objective, noise, counts["n_samples"], counts["warmup"], counts["seed"])
    calls = {name: cost.vae_call(vae, x, eps, function, objective) for name, function in functions.items()}
    costs = cost.timed(calls, counts["n_timings"])
    moments = vae_moments(vae, x, functions, objective, noise, counts["n_draws"], counts["n_samples"], counts["seed"], blocks)
    return {name: report(moments[name], counts["n_draws"], counts["n_samples"], vae.dtype, costs[name]) for name in functions}


def vae_moments(vae, x, functions, objective, noise, n_draws, n_samples, seed, blocks):
    """{name: {block: Block}}, everything being checked and the estimators being warm."""
    params, cache = unsplit(vae.encoder._forward, x, np.empty)
    q = DiagonalGaussian.from_params(params)
    outputs = {name: Outputs() for name in functions}
    encoders = {name: EncoderWeights(vae.encoder, cache, n_draws) for name in functions} if "encoder" in blocks else {}
    decoder = DecoderWeights(vae.decoder) if "decoder" in blocks else None

    arena = one_per_thread()

    def new_target():
        return reconstruction(vae, x, arena())

    def gradients(tiled, target, eps):
        return decoder_gradients(vae.decoder, tiled, target, eps, objective, len(x))

    per_chunk = max(1, DECODER_ROWS // (n_samples * len(x)))
    chunks = replicates(
        q, new_target, functions, objective, noise, n_draws, n_samples, seed, per_chunk, gradients if decoder else None
    )
    for draws, formed in chunks:
        for name, dparams in draws.items():
            u, before = outputs[name].add(dparams)
            if encoders:
                encoders[name].add(u, before)
        if decoder:
            decoder.add(formed)
    shared = decoder.finish() if decoder else None
    moments = {}
    for name in functions:
        found = {**outputs[name].finish(), "decoder": shared}
        if encoders:
            found["encoder"] = encoders[name].finish(outputs[name].mean)
        moments[name] = {block: found[block] for block in blocks}
    return moments


def measure_target(q, target, estimators=("score_function", "reparameterization"), objective=None, n_draws=1000, n_samples=1,
                   seed=0, n_timings=11, noise="independent", warmup=200):
    """Measure estimators of d E_q[f(z)] / d [mu, logvar] for any target: `measure` without the networks.

    q: DiagonalGaussian (B, K); target: Target, always asked about z (S, B, K) with q's B, so that it may hold data
    for each row, and by several threads, so that its answer must depend on z alone; objective: None for the plain
    expectation, an ELBO or ImportanceWeighted; the rest as in `measure`.
    Returns {name: Report} with the blocks "mu" and "logvar", (B, K); step_milliseconds is NaN.
    """
    if not isinstance(q, DiagonalGaussian):
        raise TypeError(f"q must be a DiagonalGaussian, got {type(q).__name__}")
    if not isinstance(target, Target):
        raise TypeError(f"target must be a Target, tv.Target(value, grad), got {type(target).__name__}")
    objective = PLAIN if objective is None else objective
    check_objective(objective)
    (functions, fresh), noise = functions_of(estimators), schemes.resolve(noise)
    counts = counts_of(n_draws, n_samples, n_timings, seed, warmup)
    n_samples, n_draws = counts["n_samples"], counts["n_draws"]
    eps = checked_noise(noise, functions, objective, q, n_samples, counts["seed"])
    functions = unsplit(warmed, functions, fresh, [(q, target)], objective, noise, n_samples, counts["warmup"], counts["seed"])
    calls = {name: cost.target_call(q, target, eps, function, objective) for name, function in functions.items()}
    costs = cost.timed(calls, counts["n_timings"])
    outputs = {name: Outputs() for name in functions}
    per_chunk = max(1, TARGET_NUMBERS // (n_samples * q.mu.size))
    for draws, _ in replicates(q, lambda: copy.deepcopy(target), functions, objective, noise, n_draws, n_samples, counts["seed"], per_chunk):
        for name, dparams in draws.items():
            outputs[name].add(dparams)
    return {name: report(outputs[name].finish(), n_draws, n_samples, q.dtype, costs[name]) for name in functions}


def reconstruction(vae, x, empty=np.empty):
    """-log p(x | z) as a Target that remembers nothing yet."""
    return Reconstruction(vae.decoder, LIKELIHOODS[vae.likelihood], x, empty)


# --- checks at the door -----------------------------------------------------------------------------------


def functions_of(estimators):
    """{name: callable}, each resolved once, and the names among them that were made afresh."""
    if isinstance(estimators, str) or callable(estimators):
        raise TypeError(f"estimators must be a sequence of names or callables, got {estimators!r}; put it in a list")
    functions, fresh = {}, []
    for estimator in estimators:
        function = registry.resolve(estimator)
        name = estimator if isinstance(estimator, str) else getattr(estimator, "__name__", type(estimator).__name__)
        if name in functions:
            raise ValueError(f"estimators must have different names, got {name!r} twice; give a callable another __name__")
        functions[name] = function
        fresh += [name] * isinstance(estimator, str)
    if not functions:
        raise ValueError("estimators must name at least one estimator, got none")
    return functions, fresh


def counts_of(n_draws, n_samples, n_timings, seed, warmup):
    return {
        "n_draws": validate.integer("n_draws", n_draws, least=2),
        "n_samples": validate.integer("n_samples", n_samples, least=1),
        "n_timings": validate.integer("n_timings", n_timings, least=0),
        "seed": validate.integer("seed", seed, least=0),
        "warmup": validate.integer("warmup", warmup, least=0),
    }


def blocks_of(blocks):
    if isinstance(blocks, str) or not blocks:
        raise TypeError(f"blocks must be a sequence of some of {', '.join(BLOCKS)}, got {blocks!r}; put a name in a tuple")
    for block in blocks:
        validate.choice("each of blocks", block, BLOCKS)
    return tuple(block for block in BLOCKS if block in blocks)


def checked_noise(noise, functions, objective, q, n_samples, seed):
    """One draw of eps for q, after the scheme was found to fit the objective and all estimators and to give what it should."""
    for function in functions.values():
        schemes.require_compatible(noise, function, objective)
    shape = (n_samples, *q.mu.shape)
    return validate.array("noise's eps", noise(np.random.default_rng(seed), *shape, q.dtype), shape, q.dtype)
