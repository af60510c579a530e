"""ARM and DisARM: exact on bits, by quadrature over the noise; on groups of more ways, by the table of all pairs."""

import itertools

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import check
from tinyvae.distributions.coupling import mirrored_sticks
from tinyvae.estimators import arm, disarm
from tinyvae.objectives import Integrand

SAMPLED = tv.ELBO(beta=2.0, kl="monte_carlo")
STEP = tv.Target(lambda z: z[..., 0], np.ones_like)  # f(1) - f(0) = 1


def logit(p):
    return np.log(p) - np.log1p(-p)


def bits(n, seed=0, rows=1):
    rng = np.random.default_rng(seed)
    return tv.Binary(rng.normal(scale=1.5, size=(rows, n)), tv.distributions.Bits(0.3))


def coupled(n, seed=0):
    """A target that couples all of n numbers."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(n, n))
    return tv.Target(lambda z: np.sin(z @ mix).sum(axis=2) + 3)


# --- bits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.75, 0.5, 0.03, 0.999])
@pytest.mark.parametrize("d", [1.0, -2.5])
def test_variances_of_one_bit_are_the_table(p, d):
    f1, f0, m, fair = 0.4 + d, 0.4, max(p, 1 - p), p * (1 - p)
    table = {  # the estimator, samples, nodes in each piece, the variance
        "score_function": (1, 1, fair * ((1 - p) * f1 + p * f0) ** 2),
        "leave_one_out": (2, 1, d**2 * fair * (0.5 - fair)),
        "arm": (1, 2, d**2 * (1 / 12 - 2 / 3 * abs(p - 0.5) ** 3 - fair**2)),
        "disarm": (1, 1, d**2 * m**2 * (1 - m) * (m - 0.5)),
    }
    q, f = tv.Binary(np.array([[logit(p)]])), tv.Target(lambda z: f0 + d * z[..., 0])
    for name, (n_samples, n_nodes, known) in table.items():
        mean, variance = check.exact_mean(name, q, f, n_samples=n_samples, n_nodes=n_nodes)
        np.testing.assert_allclose(mean, fair * d, rtol=1e-11, err_msg=name)
        np.testing.assert_allclose(variance, known, rtol=1e-10, atol=1e-15, err_msg=name)


def test_the_spot_to_six_digits():
    q = tv.Binary(np.array([[logit(0.75)]]))
    for name, n_samples, spot in (("leave_one_out", 2, 0.058594), ("arm", 1, 0.037760), ("disarm", 1, 0.035156)):
        assert check.exact_mean(name, q, STEP, n_samples=n_samples, n_nodes=2)[1].item() == pytest.approx(
            spot, abs=6e-7
        )


@pytest.mark.parametrize("objective", [None, tv.ELBO(), SAMPLED])
@pytest.mark.parametrize(  # arm's grid is too large for more; its mean given the two samples, disarm, is tested
    "name, n", [*itertools.product(["score_function", "disarm"], range(1, 9)), *[("arm", n) for n in (1, 2, 3, 4)]]
)
def test_means_are_the_sum_over_all_states(name, n, objective):
    q, f = bits(n), coupled(n)
    mean, variance = check.exact_mean(name, q, f, objective, n_nodes=2 if name == "arm" else 1)
    np.testing.assert_allclose(mean, check.exact_gradient(q, f, objective), rtol=0, atol=1e-12)
    assert (variance > 0).all()


@pytest.mark.parametrize("name", ["arm", "disarm"])
def test_rows_and_samples_do_not_meet(name):
    q, f = bits(2, rows=2), coupled(2)
    eps = q.noise(np.random.default_rng(0), 3)
    draws = tv.estimators.make(name)(q, f, eps)
    for s, b in itertools.product(range(3), range(2)):
        alone = tv.estimators.make(name)(q.like(q.params[b : b + 1]), f, eps[s : s + 1, b : b + 1])
        np.testing.assert_allclose(alone.dparams[0, 0], draws.dparams[s, b], rtol=1e-12)
    assert f.evaluations == 2 * (3 + 6) and f.gradients == 0


def test_disarm_is_the_mean_of_arm_given_the_two_samples():
    q, f = bits(1), coupled(1)
    eps, weights = q.noise_nodes(2, 1)
    eps, weights = eps[0, :, 0], weights
    tiled = q.like(np.repeat(q.params, len(eps), axis=0))
    found = [one(tiled, f, eps[None, :, None]).dparams[0, :, 0] for one in (arm, disarm)]
    pair = np.stack([tiled.sample(e[None, :, None])[0, :, 0] for e in (eps, 1 - eps)])
    for state in np.unique(pair, axis=1).T:
        here = (pair == state[:, None]).all(axis=0)
        means = [weights[here] @ one[here] for one in found]
        assert means[0] == pytest.approx(means[1], abs=1e-15)


def test_vimco_and_its_kin_are_exact_on_bits():
    q, f, bound = bits(2), coupled(2), tv.ImportanceWeighted()
    for n_samples in (2, 3):
        mean, _ = check.exact_mean("vimco", q, f, bound, n_samples=n_samples, n_nodes=1)
        np.testing.assert_allclose(mean, check.exact_gradient(q, f, bound, n_samples=n_samples), atol=1e-9)
    learner = tv.estimators.make("input_dependent", hidden=(5,), rate=1e-2)
    for _ in range(5):
        learner(q, f, q.noise(np.random.default_rng(0), 2))
        learner.update()
    for estimator in ("leave_one_out", "optimal_constant", "moving_average", learner):
        mean, _ = check.exact_mean(estimator, q, f, SAMPLED, n_samples=2, n_nodes=1)
        np.testing.assert_allclose(mean, check.exact_gradient(q, f, SAMPLED), atol=1e-12)


@pytest.fixture
def short(monkeypatch):
    """A certificate of a quarter of its usual replicates, for their time."""
    for name, n in (("FEWEST", 10_000), ("PILOT", 2_000), ("CALLS", 5_000)):
        monkeypatch.setattr(check.certificate, name, n)
    return {"n_samples": (2,), "max_draws": 10_000}


def test_the_certificate_passes_them_and_convicts_their_mutants(short):
    def without_the_half(q, target, eps, objective=None, rng=None):
        draws = arm(q, target, eps, objective)
        return draws._replace(dparams=2 * draws.dparams)

    def wrong_side_of_m(q, target, eps, objective=None, rng=None):
        draws, p = disarm(q, target, eps, objective), q.probs
        return draws._replace(dparams=draws.dparams * np.minimum(p, 1 - p) / np.maximum(p, 1 - p))

    def relaxed_kl(q, target, eps, objective=None, rng=None):
        """The KL's term is that of the relaxed density, at the relaxed bit, temperature 1."""
        z, y = q.sample(eps), 1 / (1 + np.exp(-q.odds(eps)))
        density = q.logits + np.log(y) + np.log1p(-y) - 2 * np.logaddexp(q.logits + np.log1p(-y), np.log(y))
        loss = target(z) + objective.sampled_kl * (density - np.log(0.5)).sum(axis=2)
        return tv.Draws(Integrand(q, target, objective)(z), loss[..., None] * q.score(z))

    problems = [check.problem("bits", bits(3), coupled(3), SAMPLED)]
    for name in ("arm", "disarm"):
        check.unbiased(name, problems, **short).assert_passed()
    for wrong in (without_the_half, wrong_side_of_m, relaxed_kl):
        assert not check.unbiased(wrong, problems, **short).passed


# --- more ways --------------------------------------------------------------------------------------------


def pairs(probs):
    """The joint probability of the first and the second sample, (W, W), by quadrature over what chooses the second."""
    n = len(probs)
    u = (np.arange(20_000) + 0.5) / 20_000
    joint, weights = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        ways = np.full((len(u), 1, 1), i)
        second, weight = mirrored_sticks(probs[None, None], ways, u[:, None, None])
        np.add.at(joint[i], second[:, 0, 0], probs[i] / len(u))
        weights[i, second[:, 0, 0]] = weight[:, 0, 0]
    return joint, weights


@pytest.mark.parametrize(
    "probs",
    [[0.2, 0.5, 0.3], [0.9, 0.1], [0.25] * 4, [0.05, 0.6, 0.1, 0.15, 0.1], [1e-9, 1 - 2e-9, 1e-9], [0, 0.4, 0.6]],
)
def test_weights_are_what_they_say_and_both_samples_alike(probs):
    probs = np.array(probs)
    joint, weights = pairs(probs)
    np.testing.assert_allclose(joint.sum(axis=0), probs, atol=3e-4)
    np.testing.assert_allclose(joint, joint.T, atol=3e-4)
    apart = ~np.eye(len(probs), dtype=bool) & (joint > 1e-3)
    np.testing.assert_allclose((weights * joint)[apart], np.outer(probs, probs)[apart], rtol=0.02, atol=3e-4)
    likely = np.delete(np.arange(len(probs)), probs.argmax())
    assert (joint[likely, likely] == 0).all() and weights[probs.argmax(), probs.argmax()] == 0


def test_weights_stay_small():
    for n_ways in (2, 3, 10, 64):
        q = np.full((1, 1, n_ways), 1 / n_ways)
        way, u = np.arange(n_ways)[:, None, None], np.full((n_ways, 1, 1), 0.5)
        assert mirrored_sticks(q, way, u)[1].max() < 2


def test_two_ways_are_a_bit():
    q = bits(2)
    two = tv.Categorical(np.stack([np.zeros_like(q.logits), q.logits], axis=2).reshape(1, -1), 2)
    way = q.nodes()[0].astype(int)  # N, 1, K
    other, weights = mirrored_sticks(two.grouped_probs, way, np.full(way.shape, 0.99))
    np.testing.assert_allclose(
        weights[other != way], np.broadcast_to(np.maximum(q.probs, 1 - q.probs), way.shape)[other != way]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_chooses_the_second_is_uniform_and_independent_of_the_first(dtype):
    q = tv.Categorical(np.array([[0.3, -1.0, 1.2]], dtype), 3)
    n = 40_000
    tiled = q.like(np.repeat(q.params, n, axis=0))
    eps = tiled.noise(np.random.default_rng(0))
    first, (other, weights) = tiled.sample(eps)[0], tiled.coupled(eps)
    assert other.dtype == weights.dtype == dtype and weights.shape == eps.shape
    found = np.einsum("ni,nj->ij", first, other[0]) / n
    known, _ = pairs(q.grouped_probs[0, 0].astype("float64"))
    assert (np.abs(found - known) < 4.5 * np.sqrt(np.maximum(known, 1e-4) / n)).all()  # nine numbers


def exact_moments_of_disarm(q, values, weighed=True):
    """Mean and variance for one group: sums over all pairs, from the joint's closed form."""
    probs, n = q.grouped_probs[0, 0], q.n_ways
    order = probs.argsort()
    mean, square = np.zeros(n), np.zeros(n)
    for a, b in itertools.permutations(range(n), 2):
        low, high = min(a, b), max(a, b)
        left = [probs[order[h:]].sum() for h in range(n + 1)]
        passed = np.prod([1 - 2 * probs[order[h]] / left[h] for h in range(low)])
        joint = passed * probs[order[low]] / left[low] * probs[order[high]] / left[low + 1]
        i, j = order[a], order[b]
        weight = probs[i] * probs[j] / joint if weighed else 1
        term = 0.5 * (values[i] - values[j]) * weight * (np.eye(n)[i] - np.eye(n)[j])
        mean, square = mean + joint * term, square + joint * term**2
    return mean, square - mean**2


def test_on_a_group_the_mean_is_the_gradient_and_the_variance_below_leave_one_outs():
    q, f = tv.Categorical(np.array([[0.3, -1.0, 1.2, 0.1]]), 4), coupled(4)
    z, weights = q.nodes()
    values = f(z)
    mean, variance = exact_moments_of_disarm(q, values[:, 0])
    np.testing.assert_allclose(mean, q.exact_gradient(values)[0], rtol=1e-12)
    assert np.abs(exact_moments_of_disarm(q, values[:, 0], weighed=False)[0] - mean).max() > 0.01
    first, second = (index.ravel() for index in np.indices((4, 4)))  # two independent samples
    one = 0.5 * (values[first] - values[second]) * (z[first, 0] - z[second, 0])  # 16, W
    w = weights[first, 0] * weights[second, 0]
    np.testing.assert_allclose(w @ one, mean, rtol=1e-12)
    assert variance.sum() < (w @ (one - mean) ** 2).sum()
    n = 20_000
    tiled = q.like(np.repeat(q.params, n, axis=0))
    draws = disarm(tiled, f, tiled.noise(np.random.default_rng(0))).dparams[0]
    assert (np.abs(draws.mean(axis=0) - mean) < 4 * np.sqrt(variance / n)).all()
    spread = ((draws - mean) ** 2).std(axis=0) / np.sqrt(n)
    assert (np.abs(((draws - mean) ** 2).mean(axis=0) - variance) < 4 * spread).all()


def test_the_certificate_passes_groups(short):
    q = tv.Categorical(np.random.default_rng(1).normal(size=(1, 6)), 3)
    check.unbiased(
        "disarm", [check.problem("groups", q, coupled(6), SAMPLED)], (1, 2), max_draws=40_000
    ).assert_passed()


# --- in a model ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kl", ["analytic", "monte_carlo"])
def test_in_a_vae_the_mean_is_the_slope_of_the_exact_loss(kl):
    vae = tv.VAE(6, 2, (5,), latents="binary", dtype="float64", seed=1)
    vae.theta *= 2
    x = np.random.default_rng(0).integers(0, 2, (2, 6)).astype("uint8")
    q, target, objective = vae.encode(x), vae.target(x), tv.ELBO(kl=kl)
    for name, n_nodes in (("arm", 2), ("disarm", 1)):
        mean, _ = check.exact_mean(name, q, target, objective, n_nodes=n_nodes)
        np.testing.assert_allclose(mean, check.exact_gradient(q, target, objective), atol=1e-12)
