import dataclasses

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import variance
from tinyvae.distributions import LIKELIHOODS
from tinyvae.vae import Reconstruction

BLOCKS = ("mu", "logvar", "encoder", "decoder")


def small_vae(dtype="float64", hidden=(7,), activation="tanh", n_rows=5):
    rng = np.random.default_rng(1)
    vae = tv.VAE(9, 2, hidden, activation, dtype=dtype, seed=2)
    x = (rng.random((n_rows, 9)) < 0.4).astype("uint8")
    x[:, 0] = 0  # a pixel that is always black: its weights get no gradient
    return vae, x


def the_noise(vae, x, n_draws, n_samples, seed):
    """The replicates' noise, drawn as `measure` draws it: a child of the seed for each chunk. (S, n_draws, B, K)."""
    per_chunk = max(1, variance.DECODER_ROWS // (n_samples * len(x)))
    sizes = [min(per_chunk, n_draws - start) for start in range(0, n_draws, per_chunk)]
    chunks = [
        np.random.default_rng(child.spawn(2)[0]).standard_normal((n_samples, size * len(x), vae.n_latents), dtype=vae.dtype)
        for size, child in zip(sizes, np.random.SeedSequence(seed).spawn(len(sizes)))
    ]
    return np.concatenate([eps.reshape(n_samples, -1, len(x), vae.n_latents) for eps in chunks], axis=1)


def plain_loop(vae, x, estimator, objective, n_draws, n_samples, seed):
    """Each replicate's gradient, formed one by one: {block: (n_draws, P)}."""
    estimator = tv.estimators.resolve(estimator)
    all_grads = {block: [] for block in BLOCKS}
    target = Reconstruction(vae.decoder, LIKELIHOODS[vae.likelihood], x.astype(vae.dtype))
    eps = the_noise(vae, x, n_draws, n_samples, seed)
    for r in range(n_draws):
        one = np.ascontiguousarray(eps[:, r])
        _, grads = vae.loss_and_grads(x, one, estimator, objective)
        q = vae.encode(x)
        dparams = estimator(q, target, one, objective).dparams.mean(axis=0) + objective.analytic_kl * q.kl_grad()
        n = vae.n_latents
        values = dparams[:, :n], dparams[:, n:], grads[: vae.n_encoder], grads[vae.n_encoder :]
        for block, value in zip(BLOCKS, values):
            all_grads[block].append(value.astype("float64"))
    return {block: np.array(values) for block, values in all_grads.items()}


@pytest.fixture
def small_chunks(monkeypatch):
    """Several chunks, so that joining them is tested too."""
    monkeypatch.setattr(variance, "DECODER_ROWS", 60)
    monkeypatch.setattr(variance, "DELTAS", 500)


@pytest.mark.parametrize("n_draws", [3, 40], ids=["gradient by gradient", "by covariances"])
@pytest.mark.parametrize("hidden, activation", [((7,), "tanh"), ((8, 6), "gelu"), ((8, 6), "relu")])
@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-10), ("float32", 1e-4)])
def test_the_shortcuts_equal_the_plain_loop_to_rounding(small_chunks, dtype, rtol, hidden, activation, n_draws):
    vae, x = small_vae(dtype, hidden, activation)
    names = ("score_function", "reparameterization", "leave_one_out")
    reports = variance.measure(vae, x, names, n_draws=n_draws, n_samples=2, seed=3, n_timings=0)
    for name in names:
        loop = plain_loop(vae, x, name, tv.ELBO(), n_draws, 2, seed=3)
        for block in BLOCKS:
            report, g = reports[name], loop[block]
            size, spread = np.abs(g).max(), g.var(axis=0, ddof=1)
            assert report.mean[block].shape == report.variance[block].shape == report.snr[block].shape == g.shape[1:]
            np.testing.assert_allclose(report.mean[block], g.mean(axis=0), rtol=rtol, atol=rtol * size)
            np.testing.assert_allclose(report.variance[block], spread, rtol=rtol, atol=rtol * spread.max())
            np.testing.assert_allclose(report.total[block].variance.value, spread.sum(), rtol=rtol)
            np.testing.assert_allclose(report.total[block].squares.mean(), spread.sum(), rtol=rtol)


def test_both_ways_for_the_encoder_are_taken_in_that_test():
    vae, x = small_vae()
    _, cache = vae.encoder._forward(x.astype("float64"), np.empty)
    assert variance._EncoderWeights(vae.encoder, cache, 40).by_covariance == [True, True]
    assert variance._EncoderWeights(vae.encoder, cache, 3).by_covariance == [False, False]


@pytest.mark.parametrize("objective", [tv.ELBO(kl="monte_carlo"), tv.ELBO(beta=0.5)])
def test_the_mean_is_the_gradient_of_the_loss(objective):
    vae, x = small_vae()
    reports = variance.measure(vae, x, objective=objective, n_draws=2, seed=0, n_timings=0)
    for name, report in reports.items():
        loop = plain_loop(vae, x, name, objective, 2, 1, seed=0)
        for block in BLOCKS:
            np.testing.assert_allclose(report.mean[block], loop[block].mean(axis=0), rtol=1e-9, atol=1e-12)


def test_the_decoders_gradient_is_shared_and_a_dead_weight_has_no_signal():
    vae, x = small_vae()
    score, path = variance.measure(vae, x, n_draws=10, n_timings=0).values()
    np.testing.assert_array_equal(score.variance["decoder"], path.variance["decoder"])
    weights = vae.encoder.views(path.snr["encoder"])["W0"]
    np.testing.assert_array_equal(weights[0], 0)
    assert np.isfinite(path.snr["encoder"]).all() and (weights[1:] > 0).any()


# --- exact variances --------------------------------------------------------------------------------------


def bowl(k):
    return tv.Target(lambda z: ((z - k) ** 2).sum(axis=2), lambda z: 2 * (z - k))


def measured(q, target, name, n_draws, n_samples=1):
    return variance.measure_target(q, target, [name], n_draws=n_draws, n_samples=n_samples, n_timings=0)[name]


@pytest.mark.parametrize("name, dmu, dsigma", [("score_function", 495, 1546), ("reparameterization", 4, 72)])
def test_variances_of_a_quadratic_are_the_closed_forms(name, dmu, dsigma):
    # z ~ N(1, 1), f = (z + 3)^2; d/dlogvar = (sigma / 2) d/dsigma. Four tests at 4.5 standard errors each (paired with the
    # interval's own half width): a false alarm once in 30,000 seeds.
    q = tv.DiagonalGaussian(np.ones((1, 1)), np.zeros((1, 1)))
    report = measured(q, bowl(-3), name, 100_000)
    for block, exact in (("mu", dmu), ("logvar", dsigma / 4)):
        squares = report.total[block].squares
        assert abs(squares.mean() - exact) < 4.5 * squares.std() / np.sqrt(len(squares))
    for block, exact in (("mu", 8.0), ("logvar", 1.0)):
        error = np.sqrt(report.variance[block] / report.n_draws)
        assert abs(report.mean[block] - exact) < 4.5 * error


def test_intervals_cover_the_truth():
    # Two blocks of two estimators, 100 seeds, 95% nominal. 84 or fewer of 100 happen with probability 0.00004 at 95%, and 0.001
    # at the 93% that the score function's heavy tail leaves at this number of draws; 11 such tests.
    q = tv.DiagonalGaussian(np.ones((1, 1)), np.zeros((1, 1)))
    exact = {
        ("score_function", "mu"): (495, 8), ("score_function", "logvar"): (386.5, 1),
        ("reparameterization", "mu"): (4, 8), ("reparameterization", "logvar"): (18, 1),
    }
    hits = {(*key, what): 0 for key in exact for what in ("variance", "snr", "ratio")}
    for seed in range(100):
        reports = variance.measure_target(q, bowl(-3), n_draws=5000, n_timings=0, seed=seed)
        for (name, block), (spread, mean) in exact.items():
            total = reports[name].total[block]
            hits[name, block, "variance"] += total.variance.low <= spread <= total.variance.high
            hits[name, block, "snr"] += total.snr.low <= mean / np.sqrt(spread) <= total.snr.high
            pair = variance.ratio(reports[name], reports["reparameterization"], block)
            hits[name, block, "ratio"] += pair.low <= spread / exact["reparameterization", block][0] <= pair.high
    for key, count in hits.items():
        if key[0] == "reparameterization" and key[2] == "ratio":
            assert count == 100  # to itself: 1, exactly
        else:
            assert count > 84, (key, count)


def test_an_interval_without_signal_holds_zero():
    # f even about the mean: d/dmu is 0, and so is the signal. The interval's upper end falls with the replicates.
    q = tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1)))
    highs = []
    for n_draws in (100, 10_000):
        snr = measured(q, bowl(0), "score_function", n_draws).total["mu"].snr
        assert snr.low == 0.0
        highs.append(snr.high)
    assert highs[1] < 0.1 < highs[0] < 1


def test_the_variance_is_of_the_whole_estimate():
    # leave-one-out's samples share their baselines. With S = 2 and f = z, z ~ N(0, 1): (z1 - z2)^2 / 2 estimates d/dmu, 2 its
    # variance; its single samples' would be 4 / 2. One sample's variance over S would be wrong by the covariance.
    q = tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1)))
    line = tv.Target(lambda z: z.sum(axis=2), lambda z: np.ones_like(z))
    total = measured(q, line, "leave_one_out", 50_000, n_samples=2).total["mu"]
    assert abs(total.variance.value - 2) < 4.5 * total.squares.std() / np.sqrt(len(total.squares))


def test_a_target_may_hold_data_for_each_row():
    q = tv.DiagonalGaussian(np.zeros((3, 2)), np.zeros((3, 2)))
    k = np.arange(6.0).reshape(3, 2)
    report = measured(q, bowl(k), "reparameterization", 4000, n_samples=2)
    error = np.sqrt(report.variance["mu"] / report.n_draws)
    assert (abs(report.mean["mu"] + 2 * k) < 5 * error).all()  # six tests at five standard errors: 1e-6


def test_no_variance_is_no_error():
    q = tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1)))
    line = tv.Target(lambda z: z.sum(axis=2), lambda z: np.ones_like(z))
    reports = variance.measure_target(q, line, n_draws=10, n_timings=0)
    path, score = reports["reparameterization"], reports["score_function"]
    assert path.total["mu"].variance == (0, 0, 0) and path.total["mu"].snr.value == np.inf and path.snr["mu"][0, 0] == np.inf
    assert variance.ratio(score, path, "mu").value == np.inf and variance.ratio(path, score, "mu").value == 0
    assert np.isnan(variance.ratio(path, path, "mu").value)


def test_two_replicates_give_an_interval_without_end():
    q = tv.DiagonalGaussian(np.zeros((1, 1)), np.zeros((1, 1)))
    total = measured(q, bowl(1), "score_function", 2).total["mu"]
    assert total.variance.low == 0 and total.variance.high == np.inf


def test_a_large_offset_leaves_the_variance_exact():
    # The contrasts are taken from the running mean: a gradient of 1e8 with a variance of 1 keeps ten digits of it.
    rng = np.random.default_rng(0)
    g = 1e8 + rng.standard_normal((300, 1, 2))
    outputs = variance._Outputs()
    for piece in np.split(g, [1, 120, 121]):
        outputs.add(piece)
    np.testing.assert_allclose(outputs.finish()["mu"].variance[0, 0], (g[:, 0, 0] - 1e8).var(ddof=1), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loop_equals_its_twin(dtype):
    rng = np.random.default_rng(0)
    states = [(np.zeros(9000, dtype), np.zeros(9000, dtype)) for _ in range(2)]
    rtol = 1e-12 if dtype == "float64" else 1e-4
    for r in range(1, 5):
        g = rng.standard_normal(9000).astype(dtype) + 3
        results = [add(g, *state, r) for add, state in zip((variance.add_replicate, variance.add_replicate_numpy), states)]
        np.testing.assert_allclose(*results, rtol=rtol, atol=rtol)
        for a, b in zip(*states):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


# --- cost, determinism, doors -----------------------------------------------------------------------------


def test_costs_are_counted_and_timed():
    vae, x = small_vae("float32")
    score, path = variance.measure(vae, x, n_draws=4, n_samples=3, n_timings=3).values()
    assert (score.evaluations, score.gradients) == (3, 0) and (path.evaluations, path.gradients) == (3, 3)
    for report in (score, path):
        assert 0 < report.milliseconds < 1000 and 0 < report.step_milliseconds < 1000
        price = report.variance_times_cost("encoder")
        assert price.value == report.milliseconds * report.total["encoder"].variance.value
        price = report.variance_times_cost("mu", "step_milliseconds")
        assert price.high == report.step_milliseconds * report.total["mu"].variance.high
    with pytest.raises(ValueError, match="block must be one of 'mu'"):
        score.variance_times_cost("weights")
    untimed = variance.measure(vae, x, n_draws=4, n_timings=0)["score_function"]
    assert np.isnan(untimed.milliseconds) and untimed.evaluations == 1


def test_the_same_seed_gives_the_same_numbers_and_changes_nothing():
    vae, x = small_vae("float32")
    theta = vae.theta.copy()
    first, second, other = (variance.measure(vae, x, n_draws=6, seed=seed, n_timings=0)["score_function"] for seed in (0, 0, 1))
    for block in BLOCKS:
        np.testing.assert_array_equal(first.variance[block], second.variance[block])
        assert not np.array_equal(first.variance[block], other.variance[block])
    np.testing.assert_array_equal(vae.theta, theta)


def test_an_estimator_of_the_readers_own_is_measured_and_cannot_disturb_the_others():
    def mine(q, target, eps, objective=None, rng=None):
        draws = tv.estimators.score_function(q, target, eps, objective, rng)
        target(q.sample(eps))[:] = np.nan  # works in place on what it was given
        return draws

    vae, x = small_vae()
    reports = variance.measure(vae, x, [mine, "score_function"], n_draws=5, n_timings=0)
    assert list(reports) == ["mine", "score_function"]
    for block in BLOCKS:
        np.testing.assert_array_equal(reports["mine"].variance[block], reports["score_function"].variance[block])


def test_a_report_is_frozen():
    vae, x = small_vae()
    report = variance.measure(vae, x, n_draws=2, n_timings=0)["score_function"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.n_draws = 3


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"n_draws": 1}, ValueError, "n_draws must be at least 2, got 1"),
        ({"n_draws": 2.5}, TypeError, "n_draws must be an integer"),
        ({"n_samples": 0}, ValueError, "n_samples must be at least 1"),
        ({"n_timings": -1}, ValueError, "n_timings must be at least 0"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"estimators": "score_function"}, TypeError, "must be a sequence of names or callables.*put it in a list"),
        ({"estimators": ()}, ValueError, "at least one estimator"),
        ({"estimators": ("scorefunction",)}, ValueError, "estimator must be one of 'reparameterization'"),
        ({"estimators": ("score_function",) * 2}, ValueError, "different names, got 'score_function' twice"),
        ({"x": np.zeros((5, 8))}, ValueError, r"x must have shape \(n, 9\), got \(5, 8\)"),
        ({"x": np.full((5, 9), 2.0)}, ValueError, r"x must lie in \[0, 1\]"),
    ],
)
def test_wrong_input_is_refused(changes, error, message):
    vae, x = small_vae()
    with pytest.raises(error, match=message):
        variance.measure(vae, **{"x": x, **changes})


def test_wrong_targets_and_wrong_estimators_are_refused():
    q = tv.DiagonalGaussian(np.zeros((2, 1)), np.zeros((2, 1)))
    with pytest.raises(TypeError, match="q must be a DiagonalGaussian"):
        variance.measure_target(np.zeros(2), bowl(0))
    with pytest.raises(TypeError, match="target must be a Target"):
        variance.measure_target(q, np.cos)
    with pytest.raises(ValueError, match="needs df/dz"):
        variance.measure_target(q, tv.Target(lambda z: z.sum(axis=2)), ["reparameterization"], n_draws=2)

    def flat(q, target, eps, objective=None, rng=None):
        return tv.Draws(target(q.sample(eps)), np.zeros(4))

    def broken(q, target, eps, objective=None, rng=None):
        draws = tv.estimators.score_function(q, target, eps)
        return tv.Draws(draws.f, draws.dparams * np.nan)

    with pytest.raises(ValueError, match=r"flat's dparams must have shape \(1, 4, 2\)"):
        variance.measure_target(q, bowl(0), [flat], n_draws=2)
    with pytest.raises(ValueError, match="broken's dparams must be finite"):
        variance.measure_target(q, bowl(0), [broken], n_draws=2)
    three, four = (variance.measure_target(q, bowl(0), n_draws=n, n_timings=0)["score_function"] for n in (3, 4))
    with pytest.raises(ValueError, match="must come from one measurement, got 3 and 4"):
        variance.ratio(three, four, "mu")
