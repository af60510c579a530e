"""VAE.log_likelihood: against quadrature, at extremes, in bounded memory, the same for any number of workers."""

import tracemalloc

import numpy as np
import pytest

import tinyvae as tv
from tinyvae import check
from tinyvae.kernels.compile import USE_NUMPY
from tinyvae.machine import blas


def rng(seed=0):
    return np.random.default_rng(seed)


def make(n_latents=1, n_features=6, dtype="float64", n_points=5):
    """A small VAE and binary data.

    Its q is wider than the prior, which bounds the importance weights: no heavy tail.
    """
    vae = tv.VAE(n_features, n_latents, (5,), dtype=dtype, seed=3)
    vae.params["encoder.b1"][n_latents:] = 1.0
    vae.decoder.theta *= 1.5  # the latents matter
    return vae, (rng(4).random((n_points, n_features)) < 0.4).astype(dtype)


def exact(vae, x, n_nodes=60):
    """log p(x) = log E_{z ~ N(0, I)} p(x | z), (n,), by Gauss-Hermite quadrature."""
    z, weights = check.gauss_hermite(n_nodes, vae.n_latents)
    likelihood = [vae.decode(z.astype(vae.dtype)).log_prob(np.tile(row, (len(z), 1))) for row in x]
    return np.log(np.exp(np.asarray(likelihood, "float64")) @ weights)


def weights_spread(vae, x, n=4000):
    """The relative standard deviation of one importance weight, (n,): what the estimate's standard error is made of."""
    q = vae.encode(x)
    z = q.sample(q.noise(rng(9), n))  # S, n, K
    log_w = np.stack([vae.decode(z_s).log_prob(x) for z_s in z]) - q.log_ratio(z)
    w = np.exp(log_w - log_w.max(axis=0))
    return w.std(axis=0) / w.mean(axis=0)


def test_the_quadrature_is_exact_enough():
    for n_latents in (1, 2):
        vae, x = make(n_latents)
        assert np.abs(exact(vae, x) - exact(vae, x, 90)).max() < 3e-5


@pytest.mark.parametrize("n_latents", [1, 2])
@pytest.mark.parametrize("n_samples", [100, 3000])  # less and more than one chunk
def test_agrees_with_quadrature(n_latents, n_samples):
    # Averaged over repeats, for p(x) itself, of which the estimate is unbiased: its logarithm is low on average.
    vae, x = make(n_latents)
    repeats = 60_000 // n_samples
    estimates = vae.log_likelihood(np.repeat(x, repeats, axis=0), n_samples, rng()).reshape(len(x), repeats)
    ratios = np.exp(estimates - exact(vae, x)[:, None])  # n, repeats: each has mean 1
    errors = weights_spread(vae, x) / np.sqrt(n_samples * repeats)
    # 20 comparisons over the four cases: beyond 4.5 standard errors by chance in 1 run of 7,000
    assert np.all(np.abs(ratios.mean(axis=1) - 1) < 4.5 * errors), (ratios.mean(axis=1) - 1) / errors
    assert np.all(errors < 0.02)  # the test has teeth


def test_is_exact_where_q_is_the_posterior():
    # A decoder that ignores z: the posterior is the prior, and with q = N(0, I) every weight is p(x).
    vae, x = make()
    vae.params["decoder.W0"][:] = 0
    vae.encoder.theta[:] = 0
    for n_samples in (1, 7, 1200):
        found = vae.log_likelihood(x, n_samples, rng())
        np.testing.assert_allclose(found, vae.decode(np.zeros((len(x), 1))).log_prob(x), rtol=1e-13)


def test_grows_with_the_samples_on_average():
    # Burda et al. 2016, theorem 1. Paired over many noises: each step up by more than its standard error allows to be
    # chance.
    vae, x = make(2, n_points=1)
    means, errors = [], []
    for n_samples, repeats in ((1, 4000), (3, 4000), (30, 4000)):
        estimates = vae.log_likelihood(np.repeat(x, repeats, axis=0), n_samples, rng(n_samples))
        means.append(estimates.mean())
        errors.append(estimates.std() / np.sqrt(repeats))
    means.append(exact(vae, x)[0])
    errors.append(0)
    for i in range(3):
        assert means[i + 1] - means[i] > 4 * np.hypot(errors[i], errors[i + 1]), means


def test_is_bitwise_the_same_for_any_number_of_workers(monkeypatch):
    vae, x = make(2, dtype="float32", n_points=130)
    for n_samples in (1, 40, 1300):
        found = []
        for n in ("1", "2", "3"):
            monkeypatch.setenv("TINYVAE_WORKERS", n)
            with blas.one_thread():
                found.append(vae.log_likelihood(x, n_samples, rng()))
        assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_is_the_same_for_the_same_generator_and_not_for_another():
    vae, x = make()
    assert np.array_equal(vae.log_likelihood(x, 50, rng(1)), vae.log_likelihood(x, 50, rng(1)))
    assert not np.array_equal(vae.log_likelihood(x, 50, rng(1)), vae.log_likelihood(x, 50, rng(2)))


def test_the_generators_state_decides_and_moves_on():
    vae, x = make()
    first, spawned, restored = rng(1), rng(1), rng(7)
    spawned.spawn(3)  # no part of the state
    restored.bit_generator.state = first.bit_generator.state
    found = vae.log_likelihood(x, 50, first)
    for other in (spawned, restored):
        assert np.array_equal(vae.log_likelihood(x, 50, other), found)
    assert not np.array_equal(vae.log_likelihood(x, 50, first), found)


@pytest.mark.parametrize(
    "part, value, message",
    [
        ("encoder.b1", np.nan, "the KL term became nan"),
        ("encoder.b1", 200.0, "the KL term became inf"),
        ("decoder.b1", np.nan, "the reconstruction term became nan"),
        ("decoder.b1", 3e38, "the reconstruction term became inf"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_not_finite_is_named_as_in_training(part, value, message):
    vae, x = make(dtype="float32")
    vae.params[part][:] = value
    eps = vae.noise(rng(), 1, len(x))
    for call in (
        lambda: vae.log_likelihood(x, 10, rng()),
        lambda: tv.evaluate.bound(vae, x),
        lambda: vae.loss_and_grads(x, eps),
    ):
        with pytest.raises(tv.NonFiniteLoss, match=message):
            call()


def test_what_runs_beside_it_changes_no_bit():
    # Of these sizes, products by one BLAS thread and by two differ in their last bits.
    vae, x = tv.VAE(785, 7, (501,), seed=0), (rng().random((333, 785)) < 0.4).astype("float32")
    alone = tv.evaluate.bound(vae, x), vae.log_likelihood(x, 3, rng())
    with blas.one_thread():  # a training run
        beside = tv.evaluate.bound(vae, x), vae.log_likelihood(x, 3, rng())
    assert alone[0] == beside[0] and np.array_equal(alone[1], beside[1])


def test_points_do_not_share_noise():
    vae, x = make()
    assert len(set(vae.log_likelihood(np.repeat(x[:1], 30, axis=0), 3, rng()))) == 30


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_weights_stay_finite(dtype):
    # exp(-1e4) is 0 in either precision: a mean of weights that were exponentiated as they are would be log 0.
    vae, _ = make(n_features=500, dtype=dtype)
    vae.params["decoder.W1"][:] = 0
    vae.params["decoder.b1"][:] = 20
    x = np.zeros((3, 500), dtype)
    for n_samples in (1, 1500):
        found = vae.log_likelihood(x, n_samples, rng())
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, -10_000, rtol=1e-3)


def test_one_large_weight_among_small_ones_counts():
    # Samples in the tail of q: their weights differ by hundreds of nats, whichever chunk the largest is in.
    vae, x = make()
    vae.params["encoder.b1"][:] = [0.0, 12.0]  # logvar 12: a q far wider than the posterior
    estimates = np.array([vae.log_likelihood(x, 20_000, rng(seed)) for seed in range(20)])  # 20, n
    ratios = np.exp(estimates - exact(vae, x))
    error = ratios.std(axis=0, ddof=1) / np.sqrt(20)
    assert np.all(np.abs(ratios.mean(axis=0) - 1) < 5 * error)  # 5 comparisons, t with 19 degrees of freedom
    assert np.all(error < 0.1)


def test_float32_agrees_with_float64():
    # The noise differs between the precisions, so enough samples for its error to be small, and a bound made of it.
    wide, x = make(2)
    narrow = tv.VAE(6, 2, (5,), dtype="float32")
    narrow.theta[:] = wide.theta
    n = 60_000
    difference = narrow.log_likelihood(x.astype("float32"), n, rng()) - wide.log_likelihood(x, n, rng())
    assert np.all(np.abs(difference) < 5 * np.sqrt(2 / n) * weights_spread(wide, x) + 1e-5)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float32", "float64"])
def test_takes_data_of_each_type(dtype):
    vae, x = make()
    assert np.array_equal(vae.log_likelihood(x.astype(dtype), 30, rng()), vae.log_likelihood(x, 30, rng()))


def test_memory_is_bounded_by_a_chunk(monkeypatch):
    monkeypatch.setenv("TINYVAE_WORKERS", "1")  # with more, the peak depends on which chunks happen to meet
    vae = tv.VAE(400, 5, (30,))

    def peak(n_points, n_samples):
        x = np.zeros((n_points, 400), "uint8")
        tracemalloc.start()
        vae.log_likelihood(x, n_samples, rng())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2, 1000)  # what is made once
    small = peak(2, 2000)
    assert peak(2, 20_000) < 1.2 * small  # 10 times the samples
    assert peak(400, 50) < 1.2 * max(small, peak(40, 50))  # 10 times the points
    share = 1 if USE_NUMPY else 0.2  # the twins' temporary arrays are several times a chunk
    assert small < share * (4000 * 400 * 4)  # far less than all rows at once


def test_bad_input_is_refused_before_anything_is_computed():
    vae, x = make()
    for bad, message in (
        (x[0], "x must have shape"),
        (x[:, :3], "x must have shape"),
        (x + 2, "lie in"),
        (x * np.nan, "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            vae.log_likelihood(bad, 10, rng())
    with pytest.raises(TypeError, match="x must be"):
        vae.log_likelihood(x.astype("int64"), 10, rng())
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        vae.log_likelihood(x, 0, rng())
    with pytest.raises(TypeError, match="n_samples must be an integer"):
        vae.log_likelihood(x, 1.5, rng())
    for generator in (None, 0, np.random):
        with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
            vae.log_likelihood(x, 10, generator)


# --- what the weights say of themselves -----------------------------------------------------------------------


def test_the_error_is_that_of_repeats_and_the_bias_its_square_by_two():
    vae, x = make(2)
    repeats, n_samples = 2000, 60
    found = tv.evaluate.log_likelihood(vae, np.repeat(x, repeats, axis=0), n_samples, rng())
    value, error = (column.reshape(len(x), repeats) for column in found[:2])
    assert np.all(error.mean(axis=1) > 0.05)  # there is something to tell
    # A standard deviation of 2000 normal numbers is known to 1.6%; the delta method's own rest is of the order 1 / S.
    np.testing.assert_allclose(error.mean(axis=1), value.std(axis=1), rtol=0.08)
    bias = value.mean(axis=1) - exact(vae, x)
    np.testing.assert_allclose(bias, -(error**2).mean(axis=1) / 2, atol=4.5 * value.std() / np.sqrt(repeats))
    assert np.all(bias < 0)
    # effective = S / (1 + Var(w) / E[w]^2)
    wanted = n_samples / (1 + weights_spread(vae, x) ** 2)
    np.testing.assert_allclose(found.effective.reshape(value.shape).mean(axis=1), wanted, rtol=0.08)


@pytest.mark.parametrize("n_samples", [2, 40, 1300])  # of the last, some chunks' weights are in another unit
def test_error_and_effective_size_are_those_of_the_weights(n_samples, monkeypatch):
    # By way of a decoder that says what the weights are: log w = -f(z), one latent, q = p.
    vae, x = make()
    vae.encoder.theta[:] = 0
    found = tv.evaluate.log_likelihood(vae, x, n_samples, rng())
    kept = []
    loss = vae.likelihood.loss

    class Kept(type(vae.likelihood) if not isinstance(vae.likelihood, type) else vae.likelihood):
        @staticmethod
        def loss(outputs, pixels, losses, **own):
            loss(outputs, pixels, losses, **own)
            kept.append((len(pixels), losses.copy()))

    monkeypatch.setattr(vae, "likelihood", Kept)
    monkeypatch.setenv("TINYVAE_WORKERS", "1")
    again = tv.evaluate.log_likelihood(vae, x, n_samples, rng())
    assert all(np.array_equal(a, b) for a, b in zip(found, again))
    if n_samples > 500:  # a point a chunk, in three pieces
        w = np.exp(-np.stack([np.concatenate([k for _, k in kept[i : i + 3]]) for i in range(0, len(kept), 3)], axis=1))
    else:
        w = np.exp(-np.concatenate([losses.reshape(n_samples, n) for n, losses in kept], axis=1))
    assert w.shape == (n_samples, len(x))
    np.testing.assert_allclose(found.value, np.log(w.mean(axis=0)), rtol=1e-12)
    np.testing.assert_allclose(found.error, w.std(axis=0, ddof=1) / w.mean(axis=0) / np.sqrt(n_samples), rtol=1e-7)
    np.testing.assert_allclose(found.effective, w.sum(axis=0) ** 2 / (w * w).sum(axis=0), rtol=1e-12)


def test_the_model_s_own_method_is_the_value():
    vae, x = make(dtype="float32")
    found = tv.evaluate.log_likelihood(vae, x, 30, rng())
    assert np.array_equal(vae.log_likelihood(x, 30, rng()), found.value)
    mean, error = found.mean()
    assert mean == found.value.mean() and error == pytest.approx(found.value.std(ddof=1) / np.sqrt(len(x)))
    one = tv.evaluate.log_likelihood(vae, x[:1], 30, rng())
    assert one.mean() == (one.value[0], one.error[0])


def test_a_q_that_is_the_posterior_has_no_error():
    vae, x = make()
    vae.params["decoder.W0"][:] = 0
    vae.encoder.theta[:] = 0
    found = tv.evaluate.log_likelihood(vae, x, 700, rng())
    assert np.all(found.error < 1e-7) and np.allclose(found.effective, 700, rtol=1e-12)
    alone = tv.evaluate.log_likelihood(vae, x, 1, rng())
    assert np.isnan(alone.error).all() and np.all(alone.effective == 1)


def test_worthless_weights_warn(recwarn):
    vae, x = make()
    tv.evaluate.log_likelihood(vae, x, 200, rng())
    for n_samples in (1, 2, 9):  # too few to tell
        tv.evaluate.log_likelihood(vae, x, n_samples, rng())
    assert not recwarn
    vae.params["encoder.b1"][:] = [9.0, -3.0]  # far from any posterior, and narrow
    with pytest.warns(UserWarning, match=r"worthless for \d+% of the points, where fewer than 10 of 200 .*: take more"):
        tv.evaluate.log_likelihood(vae, x, 200, rng())
    with pytest.warns(UserWarning, match="fewer than 5 of 50 importance samples are effective"):
        vae.log_likelihood(x, 50, rng())
