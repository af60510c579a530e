"""Estimators of bits and groups: mean and variance against sums over states and pairs of them, written out here."""

import itertools

import numpy as np
import pytest
from scipy.special import expit, log_expit, log_softmax, logsumexp

import tinyvae as tv
from tinyvae.estimators import ConstantBaseline, Rebar, Relax
from tinyvae.variance import folded

SAMPLED = tv.ELBO(beta=2.0, kl="monte_carlo")
BETA = {None: 0.0, SAMPLED: 2.0}


def bits(n):
    rng = np.random.default_rng(n)
    return tv.Binary(rng.normal(scale=1.5, size=(1, n)), tv.distributions.Bits(rng.normal(size=n)))


def groups(n, ways):
    rng = np.random.default_rng(10 * n + ways)
    prior = tv.distributions.Categories(ways, rng.normal(size=(n, ways)))
    return tv.Categorical(rng.normal(size=(1, n * ways)), ways, prior)


def coupled(q):
    """A target that couples all of z's numbers, with its slope."""
    n = q.mean.shape[1]
    mix = np.random.default_rng(0).normal(size=(n, n)) / n**0.5
    return tv.Target(lambda z: np.sin(z @ mix).sum(axis=2) + 3, lambda z: np.cos(z @ mix) @ mix.T)


def model(latents):
    """q and the target of a small VAE at one data point: another coupling, by a decoder."""
    vae = tv.VAE(6, 2 if latents == "groups" else 4, (5,), dtype="float64", seed=1,
                 latents=tv.distributions.OneHot(3) if latents == "groups" else "binary")  # fmt: skip
    vae.theta *= 2
    x = np.random.default_rng(0).integers(0, 2, (1, 6)).astype("uint8")
    target, params = vae.target(x), vae.params

    def by_hand(z):
        outputs = np.tanh(z @ params["decoder.W0"] + params["decoder.b0"]) @ params["decoder.W1"] + params["decoder.b1"]
        return -log_expit((2.0 * x - 1) * outputs).sum(axis=-1)

    return vae.encode(x), target, by_hand


ALONE = [(q, coupled(q)) for q in [*map(bits, range(1, 9)), groups(1, 5), groups(2, 3), groups(3, 4)]]
CASES = [(q, f, lambda z, f=f: f(z[None])[0]) for q, f in ALONE] + [model("bits"), model("groups")]
NAMES = [f"{q.name} {q.params.shape[1]}" for q, _ in ALONE] + ["bits of a VAE", "groups of a VAE"]
every = pytest.mark.parametrize("q, target, by_hand", CASES, ids=NAMES)
either = pytest.mark.parametrize("objective", [None, SAMPLED])


class States:
    """All states of a q of one row, and what closed forms are made of; of q it takes logits alone.

    z, score (N, K); p (N,); loss (N,), f + beta log q / p; mean, slope (K,), E[z] and that of log q / p; path (K, K),
    dE[z]/dlogits; gradient (K,), dE[loss]/dlogits.
    """

    def __init__(self, q, by_hand, beta):
        if hasattr(q, "n_ways"):
            shape = (-1, q.n_ways)
            ways = itertools.product(np.eye(q.n_ways), repeat=q.params.shape[1] // q.n_ways)
            self.z = np.array([np.concatenate(one) for one in ways])
            own = log_softmax(q.params[0].reshape(shape), axis=1).ravel()
            other = log_softmax(np.broadcast_to(q.prior.logits, own.reshape(shape).shape), axis=1).ravel()
            log_q, log_p, self.slope = self.z @ own, self.z @ other, own - other
        else:
            self.z = np.array(list(itertools.product([0.0, 1.0], repeat=q.params.shape[1])))
            own, other = q.params[0], np.asarray(q.prior.logits) + np.zeros(q.params.shape[1])
            log_q, log_p = (log_expit((2 * self.z - 1) * one).sum(axis=1) for one in (own, other))
            self.slope = own - other
        self.p, self.ratio = np.exp(log_q), log_q - log_p
        self.loss = by_hand(self.z) + beta * self.ratio
        self.mean = self.p @ self.z
        self.score = self.z - self.mean
        self.path = self.score.T @ (self.p[:, None] * self.score)  # of an exponential family, z's covariance
        self.gradient = (self.p * self.loss) @ self.score


def moments(weights, each):
    mean = weights @ each
    return mean, weights @ (each - mean) ** 2


def drawn(estimator, q, target, z, objective, noise=0.3):
    """The estimates (N, K) at samples z (S, N, K), by noise that makes them; with another v, by other such noise."""
    tiled = q.like(np.repeat(q.params, z.shape[1], axis=0))
    eps = tiled.noise_given(np.ascontiguousarray(z), np.broadcast_to(noise, z.shape))
    np.testing.assert_array_equal(tiled.sample(eps), z)
    estimator = tv.estimators.make(estimator) if isinstance(estimator, str) else estimator
    return estimator(tiled, folded(target, 1), eps, objective).dparams.mean(axis=0)


def taught(estimator, q, target, objective=None, updates=5):
    rng = np.random.default_rng(1)
    for _ in range(updates):
        estimator(q, target, q.noise(rng, 4), objective)
        estimator.update()
    return estimator


def agree(found, known):
    """Means and variances are equal, to rounding."""
    for one, other in zip(found, known):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


# --- one sample -------------------------------------------------------------------------------------------


@every
@either
def test_the_score_function_with_each_baseline_known_beforehand(q, target, by_hand, objective):
    all_of = States(q, by_hand, BETA[objective])
    average = taught(tv.estimators.make("moving_average"), q, target, objective)
    network = taught(tv.estimators.make("input_dependent", hidden=(5,), rate=0.05), q, target, objective)
    own = network.learnt(q.params)[0].item()
    assert average.average and own
    for estimator, baseline in (
        ("score_function", 0.0), (ConstantBaseline(1.7), 1.7), (average, average.average), (network, own),
    ):  # fmt: skip
        found = moments(all_of.p, drawn(estimator, q, target, all_of.z[None], objective))
        np.testing.assert_allclose(found[0], all_of.gradient, rtol=1e-9, atol=1e-11)
        agree(found, moments(all_of.p, (all_of.loss - baseline)[:, None] * all_of.score))


@every
@either
def test_what_takes_a_slope_at_the_mean_or_at_the_sample(q, target, by_hand, objective):
    beta = BETA[objective]
    all_of = States(q, by_hand, beta)
    mean = all_of.mean[None, None]
    tangent = target.grad(mean)[0, 0] + beta * all_of.slope
    rest = all_of.loss - target(mean).item() - beta * (all_of.p @ all_of.ratio) - all_of.score @ tangent
    found = moments(all_of.p, drawn("muprop", q, target, all_of.z[None], objective))
    np.testing.assert_allclose(found[0], all_of.gradient, rtol=1e-9, atol=1e-11)
    agree(found, moments(all_of.p, rest[:, None] * all_of.score + tangent @ all_of.path))
    slopes = folded(target, 1).grad(all_of.z[None])[0] + beta * all_of.slope
    known = moments(all_of.p, slopes @ all_of.path + beta * all_of.score)
    agree(moments(all_of.p, drawn("straight_through", q, target, all_of.z[None], objective)), known)
    assert np.abs(known[0] - all_of.gradient).max() > 1e-5  # biased, and not by rounding


# --- two and three samples ----------------------------------------------------------------------------------


@every
def test_pairs_of_samples(q, target, by_hand):
    all_of = States(q, by_hand, BETA[SAMPLED])
    i, j = (index.ravel() for index in np.indices((len(all_of.p),) * 2))
    weights, z = all_of.p[i] * all_of.p[j], np.stack([all_of.z[i], all_of.z[j]])
    known = 0.5 * (all_of.loss[i] - all_of.loss[j])[:, None] * (all_of.z[i] - all_of.z[j])
    for name in ("leave_one_out", "optimal_constant"):  # of two samples these are the same
        found = moments(weights, drawn(name, q, target, z, SAMPLED))
        np.testing.assert_allclose(found[0], all_of.gradient, rtol=1e-9, atol=1e-11)
        agree(found, moments(weights, known))


@every
def test_vimco_of_pairs(q, target, by_hand):
    bound = tv.ImportanceWeighted()
    all_of = States(q, by_hand, 1.0)
    i, j = (index.ravel() for index in np.indices((len(all_of.p),) * 2))
    weights, z, l = all_of.p[i] * all_of.p[j], np.stack([all_of.z[i], all_of.z[j]]), all_of.loss
    value = np.log(2) - logsumexp([-l[i], -l[j]], axis=0)  # nats, a loss
    share = expit(l[j] - l[i])[:, None]
    explicit = share * all_of.score[i] + (1 - share) * all_of.score[j]
    known = (value - l[j])[:, None] * all_of.score[i] + (value - l[i])[:, None] * all_of.score[j] + explicit
    gradient = weights @ (value[:, None] * (all_of.score[i] + all_of.score[j]) + explicit)
    found = moments(weights, drawn("vimco", q, target, z, bound))
    np.testing.assert_allclose(found[0], gradient, rtol=1e-9, atol=1e-11)
    agree(found, moments(weights, known))


@pytest.mark.parametrize("q", [bits(1), bits(3), groups(1, 5)], ids=lambda q: f"{q.name} {q.params.shape[1]}")
def test_the_optimal_constant_of_three(q):
    target = coupled(q)
    all_of = States(q, lambda z: target(z[None])[0], 0.0)
    index = [one.ravel() for one in np.indices((len(all_of.p),) * 3)]
    h, l = np.stack([all_of.score[i] for i in index]), np.stack([all_of.loss[i] for i in index])[..., None]
    known = 0
    for s, others in ((0, [1, 2]), (1, [0, 2]), (2, [0, 1])):
        known = known + (l[s] - (l * h * h)[others].sum(axis=0) / (h * h)[others].sum(axis=0)) * h[s] / 3
    weights, z = np.prod([all_of.p[i] for i in index], axis=0), np.stack([all_of.z[i] for i in index])
    found = moments(weights, drawn("optimal_constant", q, target, z, None))
    np.testing.assert_allclose(found[0], all_of.gradient, rtol=1e-9, atol=1e-11)
    agree(found, moments(weights, known))


# --- mirrored noise -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("q, target, by_hand", [*CASES[:8], CASES[-2]], ids=[*NAMES[:8], NAMES[-2]])
@either
def test_mirrored_bits(q, target, by_hand, objective):
    """A bit's noise has three pieces, in each of which it and its mirror image stay as they are.

    In a piece of middle c and length d, 2 eps - 1 has mean 2 c - 1 and variance d^2 / 3, which the two points
    c +- d / sqrt(12) have as well.
    """
    all_of = States(q, by_hand, BETA[objective])
    pieces = []
    for p in all_of.mean:
        ends = [0.0, *sorted([p, 1 - p]), 1.0]
        pieces.append([((a + b) / 2, b - a, (a + b) / 2 > 1 - p, (a + b) / 2 < p) for a, b in itertools.pairwise(ends)])
    middle, length, z, mirrored = np.array(list(itertools.product(*pieces)), dtype=float).transpose(
        2, 0, 1
    )  # N, K each
    weights, which = length.prod(axis=1), 2 ** np.arange(q.params.shape[1])[::-1]
    left = 0.5 * (all_of.loss[(z @ which).astype(int)] - all_of.loss[(mirrored @ which).astype(int)])[:, None]
    p = all_of.mean
    over = p * (1 - p) / np.minimum(p, 1 - p)  # q(1) q(0) / P(1, 0)
    tiled = q.like(np.repeat(q.params, len(middle), axis=0))
    draws = [
        {name: tv.estimators.make(name)(tiled, folded(target, 1), eps[None], objective).dparams[0]
         for name in ("arm", "disarm")}
        for eps in (middle - length / 12**0.5, middle + length / 12**0.5)
    ]  # fmt: skip
    np.testing.assert_allclose(draws[0]["disarm"], draws[1]["disarm"], atol=1e-14)  # which sees the pieces alone
    agree(moments(weights, draws[0]["disarm"]), moments(weights, left * over * (z - mirrored)))
    mean = weights @ (left * (2 * middle - 1))
    known = mean, weights @ (left**2 * ((2 * middle - 1) ** 2 + length**2 / 3)) - mean**2
    both = (np.concatenate([one[name] for one in draws]) for name in ("arm", "disarm"))
    for found in (moments(np.tile(weights / 2, 2), one) for one in both):
        np.testing.assert_allclose(found[0], all_of.gradient, rtol=1e-9, atol=1e-11)
        if known:
            agree(found, known)
        known = None


@pytest.mark.parametrize("q, target, by_hand", [*CASES[8:11], CASES[-1]], ids=[*NAMES[8:11], NAMES[-1]])
@either
def test_mirrored_sticks_of_groups(q, target, by_hand, objective):
    """All pairs that two coupled sticks give in each group, by their joint probability; two likely ways never meet."""
    all_of = States(q, by_hand, BETA[objective])
    n = q.n_ways
    pairs = []
    for probs in all_of.mean.reshape(-1, n):
        order = probs.argsort()
        left = [probs[order[h:]].sum() for h in range(n + 1)]
        passed = [np.prod([1 - 2 * probs[order[h]] / left[h] for h in range(low)]) for low in range(n)]
        joint = np.zeros((n, n))
        for a, b in itertools.permutations(range(n), 2):
            low, high = min(a, b), max(a, b)
            joint[a, b] = passed[low] * probs[order[low]] / left[low] * probs[order[high]] / left[low + 1]
        joint[-1, -1] = passed[-1]
        np.testing.assert_allclose(joint.sum(axis=1), probs[order])
        ends = np.cumsum(joint, axis=1) / probs[order][:, None]  # which u makes the second, given the first
        middle = ends - 0.5 * joint / probs[order][:, None]
        pairs.append([
            (joint[a, b], np.eye(n)[order[a]], np.eye(n)[order[b]], middle[a, b],
             probs[order[a]] * probs[order[b]] / joint[a, b] if a != b else 0.0)
            for a, b in itertools.product(range(n), repeat=2) if joint[a, b]
        ])  # fmt: skip
    every_pair = list(itertools.product(*pairs))
    weights = np.array([np.prod([group[0] for group in one]) for one in every_pair])
    z, other = (np.array([np.concatenate([group[k] for group in one]) for one in every_pair]) for k in (1, 2))
    u, over = (np.array([np.repeat([group[k] for group in one], n) for one in every_pair]) for k in (3, 4))
    tiled = q.like(np.repeat(q.params, len(z), axis=0))
    np.testing.assert_array_equal(tiled.coupled(tiled.noise_given(z[None], u[None]))[0][0], other)
    which = {tuple(state): k for k, state in enumerate(all_of.z)}
    losses, others = (all_of.loss[[which[tuple(state)] for state in one]] for one in (z, other))
    known = moments(weights, 0.5 * (losses - others)[:, None] * over * (z - other))
    found = moments(weights, drawn("disarm", q, target, z[None], objective, u[None]))
    np.testing.assert_allclose(found[0], all_of.gradient, rtol=1e-9, atol=1e-11)
    agree(found, known)


# --- noise that is seen whole -------------------------------------------------------------------------------

MAKE = {
    "rebar": lambda: Rebar(0.6, 0.8),
    "relax": lambda: Relax((5,), rate=0.02),
    "relax with a temperature": lambda: Relax((5,), rate=0.02, temperature=0.5),
}


@pytest.mark.parametrize("q, target, by_hand", [CASES[k] for k in (2, 4, 7, 9, 11, 12)],
                         ids=[NAMES[k] for k in (2, 4, 7, 9, 11, 12)])  # fmt: skip
@pytest.mark.parametrize("name", MAKE)
def test_rebar_and_relax_of_many_numbers(name, q, target, by_hand):
    """By sampling, where quadrature has too many dimensions: a bias of a tenth of the gradient's length in a number
    is found with a probability of 99%, and one that is not there once in 100 runs of all of these together."""
    all_of, n = States(q, by_hand, 2.0), 16_000
    estimator = taught(MAKE[name](), q, target, SAMPLED, updates=30)
    tiled = q.like(np.repeat(q.params, n, axis=0))
    draws = estimator(tiled, folded(target, 1), tiled.noise(np.random.default_rng(3)), SAMPLED).dparams[0]
    error = draws.std(axis=0, ddof=1) / n**0.5
    threshold = 4.0 * error  # of 3 x 32 numbers: at a level of 0.0061, Bonferroni
    assert (threshold + 2.33 * error).max() < 0.1 * np.linalg.norm(all_of.gradient)
    assert (np.abs(draws.mean(axis=0) - all_of.gradient) < threshold).all()
