"""Measure gradient estimators side by side: mean, variance, signal-to-noise ratio and cost, with confidence intervals.

A replicate is one whole estimate: the mean over its S samples, which may depend on each other. All that is
measured here is how independent replicates differ. They lie side by side on the batch axis, and all
estimators see the same noise. Memory does not grow with the number of replicates, except by two numbers
a replicate and block.
"""

import copy
import math
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinyvae import estimators as registry
from tinyvae import validate
from tinyvae.distributions import LIKELIHOODS, DiagonalGaussian
from tinyvae.estimators import Target
from tinyvae.kernels.compile import loop
from tinyvae.mlp import ACTIVATIONS, Cache
from tinyvae.objectives import ELBO, PLAIN, Integrand
from tinyvae.train import Arena
from tinyvae.vae import Reconstruction

CONFIDENCE = 0.95
DECODER_ROWS = 2_000  # rows of a decoder pass that are held at once
TARGET_NUMBERS = 200_000  # elements of z that are held at once for a target without a network
DELTAS = 4_000_000  # elements of an encoder layer's deltas that are held at once
COVARIANCES = 64_000_000  # elements of a layer's covariances over data points, at most


class Interval(NamedTuple):
    """An estimate and its 95% confidence interval."""

    value: float
    low: float
    high: float


class Total(NamedTuple):
    """A whole block: its variance summed over coordinates, and its signal-to-noise ratio ||mean|| / sqrt(variance).

    squares: (n_draws - 1,), one share of the variance a replicate; their mean is `variance.value`. `ratio` pairs them.
    """

    variance: Interval
    snr: Interval
    squares: np.ndarray


@dataclass(frozen=True)
class Report:
    """What `measure` found out about one estimator. Each dict goes from a block's name to its numbers.

    mean, variance, snr: arrays, a number a coordinate. variance: across replicates (ddof = 1). snr: |mean| / std,
        which is 0 where both are 0 and infinite where only std is.
    total: Total, sums over the block's coordinates.
    n_draws, n_samples: replicates, and samples a data point in each.
    evaluations, gradients: of f and df/dz, a data point, in one gradient of phi.
    milliseconds: of one gradient of phi alone; step_milliseconds: of a whole training gradient, theta's part
        included. Medians; NaN where not timed.
    """

    mean: dict
    variance: dict
    snr: dict
    total: dict
    n_draws: int
    n_samples: int
    evaluations: float
    gradients: float
    milliseconds: float
    step_milliseconds: float

    def variance_times_cost(self, block, cost="milliseconds"):
        """Total variance of `block` times `cost`, an Interval: the price of a fixed accuracy, lower is better.

        cost: "milliseconds" or "step_milliseconds"; the unit is (nats a unit of the parameter)^2 ms. Averaging n
        independent gradients divides the variance by n and multiplies the time by n: the product stays.
        The interval is the variance's; the median time is taken as exact. Raises ValueError for unknown names.
        """
        validate.choice("block", block, self.total)
        validate.choice("cost", cost, ("milliseconds", "step_milliseconds"))
        return Interval(*(getattr(self, cost) * v for v in self.total[block].variance))


class Cost(NamedTuple):
    """Of one gradient: f and df/dz evaluations a data point, milliseconds for phi alone and for the whole step."""

    evaluations: float
    gradients: float
    milliseconds: float
    step_milliseconds: float


# --- what a user calls ------------------------------------------------------------------------------------


def measure(vae, x, estimators=("score_function", "reparameterization"), objective=ELBO(), n_draws=1000, n_samples=1, seed=0,
            n_timings=11):
    """Measure estimators of a VAE's gradient at its present parameters, on one batch, with the same noise.

    x: (B, D), as `vae.loss_and_grads` takes it; estimators: names or callables (q, target, eps, objective, rng) ->
    Draws, a callable being reported under its __name__; objective: an ELBO; n_draws: independent replicates of the
    whole n_samples estimate, at least 2; n_timings: repeats of which each time is the median, 0 for no timing.

    Returns {name: Report} with the blocks
        "mu", "logvar": (B, K), each data point's gradient of its own loss, an analytic KL's included, not divided by B;
        "encoder", "decoder": (P,), aligned with that part of theta, the gradient of the loss, the mean over the batch:
            report.mean["encoder"] is what `vae.loss_and_grads` gives on average.
    The decoder's gradient, taken at z = q.sample(eps), is the same under all estimators: measured once, and shared.

    Intervals come from the central limit theorem over replicates, the variance's on the log scale. A heavy tail shows
    itself late, and its interval is then too short: for (z + 3)^2 at N(1, 1) and 1,000 draws, 93% of the score
    function's intervals for d/dmu and 87% of those for d/dlogvar hold the truth (95% and 93% with 10,000).

    Raises ValueError or TypeError for input that does not fit, before anything is computed.
    Source: the closed forms that the tests reproduce, Mohamed et al. 2020, section 3. The encoder's shortcut is
    explained at `_EncoderWeights`.
    """
    x = vae._data(x)
    functions = _functions(estimators)
    n_draws, n_samples, n_timings, seed = _counts(n_draws, n_samples, n_timings, seed)
    params, cache = vae.encoder._forward(x, np.empty)
    q = DiagonalGaussian.from_params(params)
    target = Reconstruction(vae.decoder, LIKELIHOODS[vae.likelihood], x)
    costs = {name: _vae_cost(vae, x, function, objective, n_samples) for name, function in functions.items()}
    costs = _timed(costs, n_timings)

    outputs = {name: _Outputs() for name in functions}
    encoders = {name: _EncoderWeights(vae.encoder, cache, n_draws) for name in functions}
    decoder = _DecoderWeights(vae.decoder, len(x))
    per_chunk = max(1, DECODER_ROWS // (n_samples * len(x)))
    for tiled, eps, draws in _replicates(q, target, functions, objective, n_draws, n_samples, seed, per_chunk):
        for name, dparams in draws:
            encoders[name].add(*outputs[name].add(dparams))
        decoder.add(tiled, target, tiled.sample(eps), objective)

    shared = decoder.finish()
    reports = {}
    for name in functions:
        blocks = {**outputs[name].finish(), "encoder": encoders[name].finish(outputs[name].mean), "decoder": shared}
        reports[name] = _report(blocks, n_draws, n_samples, costs[name])
    return reports


def measure_target(q, target, estimators=("score_function", "reparameterization"), objective=None, n_draws=1000, n_samples=1,
                   seed=0, n_timings=11):
    """Measure estimators of d E_q[f(z)] / d [mu, logvar] for any target: `measure` without the networks.

    q: DiagonalGaussian (B, K); target: Target, always asked about z (S, B, K) with q's B, so that it may hold data
    for each row; objective: None for the plain expectation, or an ELBO; the rest as in `measure`.
    Returns {name: Report} with the blocks "mu" and "logvar", (B, K); step_milliseconds is NaN.
    """
    if not isinstance(q, DiagonalGaussian):
        raise TypeError(f"q must be a DiagonalGaussian, got {type(q).__name__}")
    if not isinstance(target, Target):
        raise TypeError(f"target must be a Target, tv.Target(value, grad), got {type(target).__name__}")
    functions = _functions(estimators)
    n_draws, n_samples, n_timings, seed = _counts(n_draws, n_samples, n_timings, seed)
    costs = {name: _target_cost(q, target, function, objective, n_samples) for name, function in functions.items()}
    costs = _timed(costs, n_timings)
    outputs = {name: _Outputs() for name in functions}
    per_chunk = max(1, TARGET_NUMBERS // (n_samples * q.mu.size))
    for _, _, draws in _replicates(q, target, functions, objective or PLAIN, n_draws, n_samples, seed, per_chunk):
        for name, dparams in draws:
            outputs[name].add(dparams)
    return {name: _report(outputs[name].finish(), n_draws, n_samples, costs[name]) for name in functions}


def ratio(a, b, block):
    """Total variance of report `a` over that of report `b`, an Interval; a tie if it holds 1.

    Both must come from one call of `measure`: their replicates share noise, so the standard error of the log ratio
    is that of the paired differences squares_a / V_a - squares_b / V_b (delta method). NaN for 0 / 0.
    Raises ValueError if the numbers of replicates differ or the block is unknown.
    """
    for report in (a, b):
        validate.choice("block", block, report.total)
    first, second = a.total[block].squares, b.total[block].squares
    if len(first) != len(second):
        raise ValueError(f"a and b must come from one measurement, got {a.n_draws} and {b.n_draws} replicates")
    over, under = first.mean(), second.mean()
    if over == 0 or under == 0:
        value = np.nan if over == under else np.inf if under == 0 else 0.0
        return Interval(value, value, value)
    return _log_interval(over / under, first / over - second / under)


# --- checks at the door -----------------------------------------------------------------------------------


def _functions(estimators):
    """{name: callable}, each resolved once."""
    if isinstance(estimators, str) or callable(estimators):
        raise TypeError(f"estimators must be a sequence of names or callables, got {estimators!r}; put it in a list")
    functions = {}
    for estimator in estimators:
        function = registry.resolve(estimator)
        name = estimator if isinstance(estimator, str) else getattr(estimator, "__name__", type(estimator).__name__)
        if name in functions:
            raise ValueError(f"estimators must have different names, got {name!r} twice; give a callable another __name__")
        functions[name] = function
    if not functions:
        raise ValueError("estimators must name at least one estimator, got none")
    return functions


def _counts(n_draws, n_samples, n_timings, seed):
    return (
        validate.integer("n_draws", n_draws, least=2),
        validate.integer("n_samples", n_samples, least=1),
        validate.integer("n_timings", n_timings, least=0),
        validate.integer("seed", seed, least=0),
    )


# --- replicates -------------------------------------------------------------------------------------------


def _replicates(q, target, functions, objective, n_draws, n_samples, seed, per_chunk):
    """Yield chunks of R replicates: q tiled to R * B rows, eps (S, R * B, K), an iterator of (name, dparams (R, B, 2K)).

    Each chunk has a seed of its own, so its noise does not depend on what was computed before.
    """
    rows = len(q.mu)
    kl_grad = objective.analytic_kl * q.kl_grad().astype("float64") if objective.analytic_kl else 0.0  # B, 2K
    sizes = [min(per_chunk, n_draws - start) for start in range(0, n_draws, per_chunk)]
    for size, child in zip(sizes, np.random.SeedSequence(seed).spawn(len(sizes))):
        noise_seed, estimator_seed = child.spawn(2)
        tiled = DiagonalGaussian.from_params(np.tile(q.params, (size, 1)))
        eps = tiled.noise(np.random.default_rng(noise_seed), n_samples)

        def draws(size=size, seed=estimator_seed, tiled=tiled, eps=eps):
            for name, function in functions.items():
                drawn = function(tiled, folded(target, rows), eps, objective, np.random.default_rng(seed))
                dparams = np.asarray(drawn.dparams)
                validate.check_shape(f"{name}'s dparams", dparams, (n_samples, *tiled.params.shape))
                validate.check_finite(f"{name}'s dparams", dparams)
                yield name, dparams.mean(axis=0, dtype="float64").reshape(size, rows, -1) + kl_grad

        yield tiled, eps, draws()


def folded(target, rows):
    """`target` for replicates on the batch axis: it is itself asked about (S * R, rows, K)."""

    def value(z):
        # A copy: the target may remember what it returned, and a reader's estimator may work in place.
        return np.array(target(z.reshape(-1, rows, z.shape[-1]))).reshape(z.shape[:2])

    def grad(z):
        return np.array(target.grad(z.reshape(-1, rows, z.shape[-1]))).reshape(z.shape)

    return Target(value, grad)


# --- moments of replicates --------------------------------------------------------------------------------


class _Contrasts:
    """Turn replicates g_r into Helmert contrasts u_r = sqrt((r - 1) / r) (g_r - m_{r-1}), m_r = mean(g_1, ..., g_r).

    u_1 = 0. The others have mean 0 and the replicates' covariance, and are uncorrelated. Their squares
    sum to sum_r (g_r - m_n)^2 exactly: an exact, stable variance in one pass, and a share of it for each
    replicate. A linear map of the contrasts gives the contrasts of the mapped replicates.
    """

    def __init__(self):
        self.n, self.mean = 0, None

    def __call__(self, g):
        """g (R, ...) float64 -> u_r and m_{r-1}, each (R, ...)."""
        if self.mean is None:
            self.mean = g[0].copy()
        r = np.arange(self.n + 1, self.n + len(g) + 1, dtype="float64").reshape(-1, *[1] * (g.ndim - 1))
        shifted = g - self.mean
        sums = np.cumsum(shifted, axis=0)
        before = np.zeros_like(g)  # m_{r-1} less the mean so far
        before[1:] = sums[:-1]
        before /= np.maximum(r - 1, 1)
        shifted -= before
        shifted *= np.sqrt((r - 1) / r)
        before += self.mean
        self.n += len(g)
        self.mean = self.mean + sums[-1] / self.n
        return shifted, before


class _Block(NamedTuple):
    """A block's moments: arrays of its shape, and for each replicate ||u_r||^2 and u_r' m_{r-1}, (n_draws,)."""

    mean: np.ndarray
    variance: np.ndarray
    squares: np.ndarray
    projections: np.ndarray


class _Outputs:
    """The blocks "mu" and "logvar": the gradient with respect to q's parameters, (B, 2K)."""

    def __init__(self):
        self.contrasts, self.sums, self.squares, self.projections = _Contrasts(), 0.0, [], []

    @property
    def mean(self):
        return self.contrasts.mean

    def add(self, dparams):
        """dparams (R, B, 2K) -> its contrasts and the means before them, for the encoder's weights."""
        u, before = self.contrasts(dparams)
        self.sums = self.sums + np.einsum("rbk,rbk->bk", u, u)
        halves = [(u[..., part], before[..., part]) for part in self._parts()]
        self.squares.append([np.einsum("rbk,rbk->r", u, u) for u, _ in halves])
        self.projections.append([np.einsum("rbk,rbk->r", u, m) for u, m in halves])
        return u, before

    def _parts(self):
        n = self.mean.shape[-1] // 2
        return slice(n), slice(n, None)

    def finish(self):
        squares, projections = np.concatenate(self.squares, axis=1), np.concatenate(self.projections, axis=1)
        variance = self.sums / (self.contrasts.n - 1)
        return {
            name: _Block(self.mean[:, part], variance[:, part], squares[i], projections[i])
            for i, (name, part) in enumerate(zip(("mu", "logvar"), self._parts()))
        }


class _EncoderWeights:
    """Moments of the encoder's weight gradients, without forming one for each replicate.

    A layer's input h (B, n_in) is fixed; only delta (B, n_out) varies, and its gradient is h' delta. With C_j, the
    B x B covariance over replicates of delta's column j,

        Var(dW_ij) = h_i' C_j h_i,    ||dW||^2 = sum(delta * (h h' delta)).

    A bias is the weight of one more input, 1; W over b is the layer's part of theta. The encoder's backward
    is linear, so it is applied to the contrasts of its output gradient. Deltas are held as (n_out, R, B):
    one unit's are then one matrix.
    """

    def __init__(self, mlp, cache, n_draws):
        self.mlp, self.rows = mlp, len(cache.inputs[0])
        self.inputs = [np.concatenate([h, np.ones((self.rows, 1), h.dtype)], axis=1) for h in cache.inputs]  # B, n_in + 1
        self.grams = [h @ h.T for h in self.inputs]  # B, B
        self.slopes = [self._slope(saved) for saved in cache.saved]
        self.by_covariance = [self._covariance_pays(h.shape[1], n, n_draws) for h, n in zip(self.inputs, mlp.sizes[1:])]
        self.sums = [0.0] * mlp.n_layers
        self.squares, self.projections, self.waiting = [], [], []
        self.at_once = max(1, DELTAS // (self.rows * max(mlp.sizes[1:])))

    def _slope(self, saved):
        """The activation's slope, fixed over replicates: (n_out, 1, B)."""
        slope = np.ones_like(saved)
        ACTIVATIONS[self.mlp.activation].backward(slope, saved)
        return np.ascontiguousarray(slope.T)[:, None, :]

    def _covariance_pays(self, n_in, n_out, n_draws):
        """Fewer multiplications than gradient by gradient (both have a factor B n_out), and room to hold C."""
        fewer = self.rows * (n_draws + n_in) < n_draws * n_in
        return fewer and n_out * self.rows**2 <= COVARIANCES

    def add(self, u, before):
        """Contrasts of dL/d[mu, logvar] and the means before them, each (R, B, 2K), before division by B."""
        for start in range(len(u)):  # gathered: the covariances want long products
            self.waiting.append((u[start], before[start]))
            if len(self.waiting) == self.at_once:
                self._flush()

    def _flush(self):
        if not self.waiting:
            return
        u, before = (np.stack(arrays) for arrays in zip(*self.waiting))
        self.waiting = []
        squares = projections = 0.0
        for layer, (delta, mean) in enumerate(zip(self._deltas(u), self._deltas(before))):
            product = np.dot(delta.reshape(-1, self.rows), self.grams[layer]).reshape(delta.shape)  # n_out, R, B
            squares = squares + np.einsum("jrb,jrb->r", delta, product)
            projections = projections + np.einsum("jrb,jrb->r", mean, product)
            self.sums[layer] = self.sums[layer] + self._second_moments(layer, delta)
        self.squares.append(squares)
        self.projections.append(projections)

    def _deltas(self, dparams):
        """dL/da of each layer, (n_out, R, B), from dL/d[mu, logvar] (R, B, 2K)."""
        n_draws = len(dparams)
        dy = (dparams / self.rows).astype(self.mlp.dtype)
        deltas = [np.ascontiguousarray(dy.reshape(-1, dy.shape[-1]).T).reshape(-1, n_draws, self.rows)]
        for layer in range(self.mlp.n_layers - 1, 0, -1):
            W = self.mlp.params[f"W{layer}"]
            delta = np.dot(W, deltas[0].reshape(len(deltas[0]), -1)).reshape(-1, n_draws, self.rows)  # n_in, R, B
            delta *= self.slopes[layer - 1]
            deltas.insert(0, delta)
        return deltas

    def _second_moments(self, layer, delta):
        """Sums over replicates: of C_j's products (n_out, B, B) or of the squared gradients (n_out, n_in + 1)."""
        if self.by_covariance[layer]:
            return np.matmul(delta.transpose(0, 2, 1), delta)
        return np.stack([np.square(unit @ self.inputs[layer]).sum(axis=0) for unit in delta])

    def _layer_sums(self, layer):
        """Sums of squared gradients, (n_in + 1, n_out)."""
        if not self.by_covariance[layer]:
            return self.sums[layer].T
        h = self.inputs[layer]
        sums = np.stack([np.einsum("bi,bi->i", h, C @ h) for C in self.sums[layer]], axis=1)
        return np.maximum(sums, 0)  # rounding may leave a zero just below it

    def finish(self, mean):
        """The block, from the mean of dL/d[mu, logvar], (B, 2K)."""
        self._flush()
        squares, projections = (np.concatenate(s).astype("float64") for s in (self.squares, self.projections))
        means = [np.dot(h.T, delta[:, 0].T) for h, delta in zip(self.inputs, self._deltas(mean[None]))]
        variance = np.concatenate([self._layer_sums(layer).ravel() for layer in range(self.mlp.n_layers)]) / (len(squares) - 1)
        return _Block(np.concatenate([m.ravel() for m in means]), variance, squares, projections)


def add_replicate_numpy(g, mean, sums, r):
    """Add the r-th replicate (P,) to the mean of those before and to the sums of squared contrasts, in place.

    Returns ||u_r||^2 and u_r' m_{r-1} (see `_Contrasts`).
    """
    if r == 1:
        mean[:] = g
    share = (r - 1) / r
    u = g - mean
    square, projection = share * float(u @ u), math.sqrt(share) * float(u @ mean)
    mean += u / r
    sums += share * u * u
    return square, projection


@loop(add_replicate_numpy)
def add_replicate(g, mean, sums, r):
    zero = mean.dtype.type(0)
    share, rate = mean.dtype.type((r - 1) / r), mean.dtype.type(1 / r)
    square = projection = 0.0
    for start in range(0, len(g), 4096):  # short sums in the array's precision, their sum in float64
        s, p = zero, zero
        for i in range(start, min(start + 4096, len(g))):
            m = g[i] if r == 1 else mean[i]
            u = g[i] - m
            s += u * u
            p += u * m
            mean[i] = m + rate * u
            sums[i] += share * u * u
        square += s
        projection += p
    return (r - 1) / r * square, math.sqrt((r - 1) / r) * projection


class _DecoderWeights:
    """Moments of the decoder's weight gradients: here every layer's input varies, so they are formed one by one."""

    def __init__(self, mlp, rows):
        self.mlp, self.rows = mlp, rows
        self.gradient = np.empty_like(mlp.theta)
        self.views = mlp.views(self.gradient)
        self.mean, self.sums = np.zeros_like(mlp.theta), np.zeros_like(mlp.theta)
        self.squares, self.projections = [], []

    def add(self, q, target, z, objective):
        """One chunk: z (S, R * B, K)."""
        losses = Integrand(q, target, objective)(z)  # S, R * B
        weights = (objective.weights(losses) / self.rows).astype(z.dtype, copy=False)
        deltas = target._backward(z)
        for r in range(z.shape[1] // self.rows):
            inputs, slopes = ([self._replicate(a, r, z.shape) for a in arrays] for arrays in (target._cache.inputs, deltas))
            own = self._replicate(weights.reshape(-1, 1), r, z.shape).ravel()
            self.mlp._weight_gradients(Cache(inputs, []), slopes, self.views, own)
            self._update()

    def _replicate(self, array, r, shape):
        """The rows of replicate r, (S * B, n), of an array (S * R * B, n)."""
        n = array.shape[-1]
        return array.reshape(shape[0], -1, self.rows, n)[:, r].reshape(-1, n)

    def _update(self):
        """What `_Contrasts` does, one replicate at a time and in place."""
        square, projection = add_replicate(self.gradient, self.mean, self.sums, len(self.squares) + 1)
        self.squares.append(square)
        self.projections.append(projection)

    def finish(self):
        n = len(self.squares)
        return _Block(self.mean, self.sums / (n - 1), np.array(self.squares), np.array(self.projections))


# --- from moments to a report -----------------------------------------------------------------------------


def _report(blocks, n_draws, n_samples, cost):
    return Report(
        mean={name: block.mean for name, block in blocks.items()},
        variance={name: block.variance for name, block in blocks.items()},
        snr={name: _snr(block.mean, block.variance) for name, block in blocks.items()},
        total={name: _total(block) for name, block in blocks.items()},
        n_draws=n_draws,
        n_samples=n_samples,
        **cost._asdict(),
    )


def _snr(mean, variance):
    """|mean| / std; 0 where both are 0: no signal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean == 0, 0.0, np.abs(mean) / np.sqrt(variance))


def _total(block):
    squares, projections = block.squares[1:], block.projections[1:]  # the first contrast is none
    variance = squares.mean()
    if variance == 0:
        snr = np.inf if np.any(block.mean) else 0.0
        return Total(Interval(0.0, 0.0, 0.0), Interval(snr, snr, snr), squares)
    n = len(squares) + 1
    signal = max(0.0, float(np.sum(np.square(block.mean, dtype="float64"))) - variance / n)
    return Total(_log_interval(variance, squares / variance), _snr_interval(signal, variance, squares, projections), squares)


def _log_interval(value, influences):
    """value exp(+-t se): symmetric on the log scale. `influences` (n,): each replicate's share of a change in log value."""
    n = len(influences)
    with np.errstate(over="ignore"):
        factor = np.exp(_quantile(n - 1) * influences.std(ddof=1) / np.sqrt(n)) if n > 1 else np.inf
    return Interval(float(value), float(value / factor), float(value * factor))


def _snr_interval(signal, variance, squares, projections):
    """sqrt(signal / variance), signal = ||mean||^2 less the variance / n that noise adds to it, at least 0.

    A replicate's influence on signal / V is 2 u' mean / V - signal / V^2 (||u||^2 - V). As the mean, the mean
    *before* the replicate stands in, of the second half of the replicates: its own noise then makes the
    interval long enough where there is no signal.
    """
    power, half, n = signal / variance, len(squares) // 2, len(squares) + 1
    influences = (2 * projections[half:] - power * (squares[half:] - variance)) / variance
    reach = _quantile(len(influences)) * np.sqrt(np.mean(np.square(influences)) / n)
    return Interval(*(float(np.sqrt(max(0.0, p))) for p in (power, power - reach, power + reach)))


def _quantile(freedom):
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


# --- cost -------------------------------------------------------------------------------------------------


class _Call(NamedTuple):
    """What is timed: functions without arguments, and the counts of one call."""

    phi: object
    step: object
    evaluations: float
    gradients: float


def _vae_cost(vae, x, estimator, objective, n_samples):
    """A `_Call` for one estimator, on arrays that are reused from call to call, as in training."""
    estimator = copy.deepcopy(estimator)  # one with state must not learn from being timed
    rng, empty, grads = np.random.default_rng(0), Arena(), np.empty_like(vae.theta)
    eps = rng.standard_normal((n_samples, len(x), vae.n_latents), dtype=vae.dtype)

    def phi():
        empty.rewind()
        return _phi_gradient(vae, x, eps, estimator, objective, rng, grads, empty)

    def step():
        empty.rewind()
        vae._step(x, eps, estimator, objective, rng, grads, empty)

    target = phi()
    return _Call(phi, step, target.evaluations, target.gradients)


def _phi_gradient(vae, x, eps, estimator, objective, rng, grads, empty):
    """The encoder's part of `VAE._step`. Returns the target, which has counted."""
    params, cache = vae.encoder._forward(x, empty)
    q = DiagonalGaussian.from_params(params)
    target = Reconstruction(vae.decoder, LIKELIHOODS[vae.likelihood], x, empty)
    dparams = estimator(q, target, eps, objective, rng).dparams.mean(axis=0)
    if objective.analytic_kl:
        dparams += objective.analytic_kl * q.kl_grad()
    dparams /= len(x)
    deltas = vae.encoder._deltas(cache, dparams, empty)
    vae.encoder._weight_gradients(cache, deltas, vae.encoder.views(grads[: vae.n_encoder]))
    return target


def _target_cost(q, target, estimator, objective, n_samples):
    estimator, rng = copy.deepcopy(estimator), np.random.default_rng(0)
    eps = q.noise(rng, n_samples)

    def phi():
        counted = Target(target, target.grad)
        estimator(q, counted, eps, objective, rng)
        return counted

    counted = phi()
    return _Call(phi, None, counted.evaluations, counted.gradients)


def _timed(calls, n_timings):
    """{name: Cost}, the median of `n_timings` repeats, in which the estimators take turns."""
    times = {(name, kind): [] for name in calls for kind in ("phi", "step")}
    for _ in range(n_timings):
        for (name, kind), seconds in times.items():
            function = getattr(calls[name], kind)
            if function is not None:
                began = time.perf_counter()
                function()
                seconds.append(time.perf_counter() - began)
    medians = {key: 1e3 * float(np.median(seconds)) if seconds else np.nan for key, seconds in times.items()}
    return {
        name: Cost(call.evaluations, call.gradients, medians[name, "phi"], medians[name, "step"])
        for name, call in calls.items()
    }
