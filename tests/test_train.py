import copy
import io
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import tinyvae as tv

ESTIMATORS = ["reparameterization", "score_function", "leave_one_out"]


def make(n_features=64, dtype="float32"):
    return tv.VAE(n_features, 2, hidden=(16,), dtype=dtype, seed=0)


def run(vae, x, **options):
    return list(tv.train(vae, x, **options))


def numbers(records):
    """The records without the time that they took."""
    return [record._replace(seconds=0) for record in records]


# --- optimisers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-14), ("float32", 1e-6)])
def test_adam_is_algorithm_1_of_the_paper(dtype, tolerance):
    rng = np.random.default_rng(0)
    alpha, beta1, beta2, epsilon = 0.01, 0.8, 0.95, 1e-4
    theta = rng.standard_normal(5)
    mine, adam = theta.astype(dtype), tv.Adam(alpha, beta1, beta2, epsilon)
    m = v = np.zeros(5)
    for t in range(1, 20):
        g = rng.standard_normal(5).astype(dtype)
        adam.step(mine, g)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g.astype("float64") ** 2
        theta = theta - alpha * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)
        np.testing.assert_allclose(mine, theta, rtol=0, atol=20 * tolerance)
    assert mine.dtype == dtype


def test_adams_first_step_has_the_size_of_its_rate():
    theta = np.zeros(3)
    tv.Adam(0.1).step(theta, np.array([1e-3, -1.0, 1e3]))
    np.testing.assert_allclose(theta, [-0.1, 0.1, -0.1], rtol=1e-4)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_its_formula(momentum):
    rng = np.random.default_rng(0)
    theta = rng.standard_normal(5)
    mine, sgd, velocity = theta.copy(), tv.SGD(0.1, momentum), np.zeros(5)
    for _ in range(10):
        g = rng.standard_normal(5)
        sgd.step(mine, g)
        velocity = momentum * velocity + g
        theta = theta - 0.1 * velocity
        np.testing.assert_allclose(mine, theta, rtol=0, atol=1e-14)


@pytest.mark.parametrize("optimizer", [tv.SGD(0.1, 0.5), tv.Adam(0.3)])
def test_optimizers_go_down_a_bowl(optimizer):
    theta = np.array([3.0, -2.0])
    for _ in range(300):
        optimizer.step(theta, theta * [1.0, 5.0])
    assert np.abs(theta).max() < 0.05


# --- the generator --------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_same_seed_gives_the_same_bits(estimator, digits):
    options = dict(estimator=estimator, n_samples=2, epochs=2, batch_size=64, seed=7)
    one, two = make(), make()
    assert numbers(run(one, digits, **options)) == numbers(run(two, digits, **options))
    np.testing.assert_array_equal(one.theta, two.theta)
    other = make()
    run(other, digits, **{**options, "seed": 8})
    assert (other.theta != one.theta).any()


@pytest.mark.parametrize(
    "estimator, n_samples", [("reparameterization", 1), ("score_function", 8), ("leave_one_out", 8)]
)
def test_the_loss_goes_down(estimator, n_samples, digits):
    history = tv.fit(
        make(), digits, estimator=estimator, n_samples=n_samples, epochs=20, batch_size=50, optimizer=tv.Adam(5e-3)
    )
    assert history.loss[-10:].mean() < 0.8 * history.loss[:10].mean()


def test_every_estimator_sees_the_same_minibatches_and_noise(digits):
    def spy(name, seen):
        def estimator(q, target, eps, objective, rng):
            seen.append((eps.copy(), rng.random()))
            return tv.estimators.make(name)(q, target, eps, objective)

        return estimator

    seen = {name: [] for name in ESTIMATORS}
    # A rate of 0 keeps theta, so that equal reconstruction terms mean equal minibatches.
    options = dict(n_samples=2, epochs=2, batch_size=200, optimizer=tv.SGD(0.0))
    records = {name: run(make(), digits, estimator=spy(name, seen[name]), **options) for name in ESTIMATORS}
    for name in ESTIMATORS[1:]:
        assert numbers(records[name]) == numbers(records[ESTIMATORS[0]])
        for (eps, draw), (first_eps, first_draw) in zip(seen[name], seen[ESTIMATORS[0]], strict=True):
            np.testing.assert_array_equal(eps, first_eps)
            assert draw == first_draw
    assert len({eps.tobytes() for eps, _ in seen[ESTIMATORS[0]]}) == 6  # and fresh at every step


class Rows:
    """An estimator that notes the noise's shape."""

    def __init__(self):
        self.sizes = []

    def __call__(self, q, target, eps, objective, rng):
        self.sizes.append(eps.shape)
        return tv.estimators.reparameterization(q, target, eps, objective)


def test_the_last_minibatch_may_be_smaller(digits):
    rows = Rows()
    records = run(make(), digits[:250], estimator=rows, n_samples=3, epochs=2, batch_size=100)
    assert rows.sizes == 2 * [(3, 100, 2), (3, 100, 2), (3, 50, 2)]
    assert [record.step for record in records] == [1, 2, 3, 4, 5, 6]
    assert [record.epoch for record in records] == [1, 1, 1, 2, 2, 2]


def test_an_epoch_visits_each_row_once_in_a_fresh_order():
    # Row i is all zeros but one, at i; the encoder is the identity, so that mu tells which row came.
    x = np.eye(10)
    vae = tv.VAE(10, 10, hidden=(), dtype="float64")
    vae.theta[:] = 0
    vae.params["encoder.W0"][:, :10] = np.eye(10)
    seen = []

    def spy(q, target, eps, objective, rng):
        seen.extend(q.mu.argmax(axis=1))
        return tv.estimators.reparameterization(q, target, eps, objective)

    run(vae, x, estimator=spy, optimizer=tv.SGD(0.0), epochs=2, batch_size=4)
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:] and seen[:10] != list(range(10))


def test_a_record_is_what_loss_and_grads_gives(digits):
    vae = make(dtype="float64")
    x = digits[:30].astype("float64")
    seen = {}

    def spy(q, target, eps, objective, rng):
        seen["eps"] = eps.copy()
        return tv.estimators.reparameterization(q, target, eps, objective)

    before = vae.theta.copy()
    record = next(tv.train(vae, x, estimator=spy, objective=tv.ELBO(2.0), optimizer=tv.SGD(0.1), batch_size=30, seed=5))
    order = np.random.default_rng(np.random.SeedSequence([5, 1]).spawn(3)[0]).permutation(30)
    fresh = make(dtype="float64")
    loss, grads = fresh.loss_and_grads(x[order], seen["eps"], objective=tv.ELBO(2.0))
    assert record.loss == pytest.approx(loss, rel=1e-14)
    assert record.loss == pytest.approx(record.reconstruction + 2 * record.kl, rel=1e-14)
    np.testing.assert_allclose(vae.theta, before - 0.1 * grads, rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float64"])
def test_bits_of_any_type_train_the_same(dtype, digits):
    bits = digits > 0.5
    one, two = make(), make()
    run(one, bits.astype("float32"), epochs=1)
    run(two, bits.astype(dtype), epochs=1)
    np.testing.assert_array_equal(one.theta, two.theta)


@pytest.mark.parametrize("dtype", ["uint8", "bool"])
def test_bits_are_converted_a_minibatch_at_a_time(dtype):
    x = np.zeros((40_000, 200), dtype)  # 8 MB; as float32 it would be 32 MB
    vae = make(200)
    run(vae, x[:100], epochs=1)  # what Numba compiles is not what is measured
    tracemalloc.start()
    next(tv.train(vae, x, batch_size=100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2e6


def test_data_that_change_between_epochs_count_from_the_next_on_whatever_their_type(digits, tmp_path):
    def theta(dtype, **options):
        x = tv.datasets.binarize(digits[:100], np.random.default_rng(0)).astype(dtype)

        def again(epoch):
            x[:] = tv.datasets.binarize(digits[:100], np.random.default_rng(epoch))

        vae = make(dtype="float32")
        tv.fit(vae, x, epochs=3, after_epoch=again, **options)
        return vae.theta

    expected = make()
    optimizer = tv.Adam(1e-3)
    epochs = {epoch: tv.datasets.binarize(digits[:100], np.random.default_rng(epoch)) for epoch in range(3)}
    x = epochs[0].copy()
    for record in tv.train(expected, x, optimizer=optimizer, epochs=3, batch_size=100):
        x[:] = epochs.get(record.epoch, x)
    for dtype in ("uint8", "bool", "float32", "float64"):
        np.testing.assert_array_equal(theta(dtype), expected.theta)
        with pytest.raises(ValueError, match="what changed during the run: x is uint8 .* at the start and .* now"):
            theta(dtype, checkpoint=tmp_path / "run.npz")
    assert list(tmp_path.iterdir()) == []
    grey = digits[:100].copy()
    with pytest.raises(ValueError, match=r"x must lie in \[0, 1\]"):
        tv.fit(make(), grey, epochs=2, after_epoch=lambda epoch: grey.fill(7))


def test_x_is_left_as_it_is(digits):
    before = digits.copy()
    run(make(), digits, epochs=1)
    np.testing.assert_array_equal(digits, before)


def test_no_epochs_do_nothing(digits):
    vae = make()
    before = vae.theta.copy()
    assert run(vae, digits, epochs=0) == []
    np.testing.assert_array_equal(vae.theta, before)


# --- when it goes wrong ---------------------------------------------------------------------------


def test_input_that_does_not_fit_is_refused_at_the_call(digits):
    # Not at the first next(): a generator that was never run would hide it.
    with pytest.raises(ValueError, match="x must have shape"):
        tv.train(make(), digits[:, :10])
    with pytest.raises(ValueError, match="estimator must be one of"):
        tv.train(make(), digits, estimator="magic")


def test_a_rate_that_is_too_large_names_the_step_and_the_term(digits):
    vae = make()
    with (
        np.errstate(all="ignore"),
        pytest.raises(tv.NonFiniteLoss, match=r"step 2: the (KL|reconstruction) term became (inf|nan); try a smaller"),
    ):
        run(vae, digits, optimizer=tv.SGD(1e30), seed=0)


def bad_at(step, change):
    """The reparameterization, but for `change(draws)` at one step."""
    calls = []

    def estimator(q, target, eps, objective, rng):
        calls.append(step)
        draws = tv.estimators.reparameterization(q, target, eps, objective)
        return change(draws) if len(calls) == step else draws

    return estimator


def test_an_estimator_whose_f_is_nan_is_named_and_theta_stays_finite(digits):
    vae = make()
    estimator = bad_at(3, lambda draws: draws._replace(f=draws.f * np.nan))
    with pytest.raises(tv.NonFiniteLoss, match="step 3: the loss became nan.*look at the estimator"):
        run(vae, digits, estimator=estimator)
    assert np.isfinite(vae.theta).all()


def test_an_estimator_whose_gradient_is_nan_stops_the_training(digits):
    estimator = bad_at(3, lambda draws: draws._replace(dparams=draws.dparams * np.nan))
    with pytest.raises(tv.NonFiniteLoss, match="step [34]: "):
        run(make(), digits, estimator=estimator)


def test_a_gradient_that_overflows_is_noticed_at_the_end_of_the_epoch_and_before_it_is_saved():
    # Each point's gradient is finite, their sum in float32 is not; it comes at the last step, whose loss is fine.
    vae, x, saved = make(), np.ones((200, 64), "float32"), []
    vae.params["encoder.W0"][:], vae.params["encoder.W1"][:] = 0, 1
    estimator = bad_at(2, lambda draws: draws._replace(dparams=np.full_like(draws.dparams, 3e38)))
    with np.errstate(all="ignore"), pytest.raises(tv.NonFiniteLoss, match="step 2: .* gradient overflowed; try a"):
        tv.fit(vae, x, estimator=estimator, epochs=1, batch_size=100, after_epoch=saved.append)
    assert not saved


def test_a_misspelt_option_is_fits(digits):
    with pytest.raises(TypeError, match=r"fit\(\) got an unexpected keyword argument 'epoch'.* epochs"):
        tv.fit(make(), digits, epoch=1)


def test_ctrl_c_ends_fit_with_what_was_learnt(digits):
    def interrupt(draws):
        raise KeyboardInterrupt

    vae = make()
    before = vae.theta.copy()
    history = tv.fit(vae, digits, estimator=bad_at(4, interrupt), batch_size=100)
    assert history.interrupted and len(history.records) == 3
    assert np.isfinite(vae.theta).all() and (vae.theta != before).any()


# --- fit ------------------------------------------------------------------------------------------


def test_fit_is_train_to_the_end(digits):
    one, two = make(), make()
    options = dict(epochs=2, batch_size=64, seed=3)
    history, records = tv.fit(one, digits, **options), run(two, digits, **options)
    assert numbers(history.records) == numbers(records) and not history.interrupted
    np.testing.assert_array_equal(one.theta, two.theta)
    for name in ("loss", "reconstruction", "kl"):
        np.testing.assert_array_equal(getattr(history, name), [getattr(record, name) for record in records])
    assert (np.diff(history.seconds) > 0).all()


def test_validation_is_the_bound_on_held_out_data_after_each_epoch(digits):
    vae = make()
    train, valid = digits[:250], digits[250:]
    history = tv.fit(vae, train, validation=valid, epochs=3, batch_size=100)
    assert [(v.epoch, v.step) for v in history.validation] == [(1, 3), (2, 6), (3, 9)]
    last = history.validation[-1]
    assert (last.loss, last.reconstruction, last.kl) == tuple(tv.evaluate.bound(vae, valid))
    assert last.loss == pytest.approx(last.reconstruction + last.kl)


def test_validation_does_not_touch_the_training(digits):
    one, two = make(), make()
    tv.fit(one, digits, epochs=2)
    tv.fit(two, digits, validation=digits, epochs=2)
    np.testing.assert_array_equal(one.theta, two.theta)


def test_validation_data_are_checked_before_training(digits):
    vae = make()
    before = vae.theta.copy()
    with pytest.raises(ValueError, match="validation must have shape"):
        tv.fit(vae, digits, validation=digits[:, :3])
    np.testing.assert_array_equal(vae.theta, before)


def test_bound_is_the_loss_averaged_over_all_rows(digits):
    vae, x = make(dtype="float64"), digits[:70].astype("float64")
    bound = tv.evaluate.bound(vae, x, n_samples=2, batch_size=30, seed=4)
    rng, reconstruction = np.random.default_rng(4), 0.0
    for start in range(0, 70, 15):  # 30 decoder rows are 15 data points
        piece = x[start : start + 15]
        q = vae.encode(piece)
        z = q.sample(q.noise(rng, 2))
        reconstruction -= sum(vae.decode(z[s]).log_prob(piece).sum() for s in range(2)) / 2
    assert bound.reconstruction == pytest.approx(reconstruction / 70, rel=1e-13)
    assert bound.kl == pytest.approx(vae.encode(x).kl().mean(), rel=1e-13)
    assert bound.loss == bound.reconstruction + bound.kl


def test_without_a_terminal_there_is_a_plain_line_an_epoch(digits, capsys):
    tv.fit(make(), digits, validation=digits, epochs=2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    for epoch, line in enumerate(lines, start=1):
        assert (
            line.startswith(f"epoch {epoch}/2: loss ")
            and " = cross-entropy " in line  # grey pixels
            and " + KL " in line
            and ", validation " in line
        )


def test_without_an_error_stream_fit_is_silent(digits, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    assert len(tv.fit(make(), digits[:50], epochs=1).records) == 1
    assert capsys.readouterr().out == ""


def test_on_a_terminal_there_is_a_bar(digits, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    tv.fit(make(), digits, epochs=2, batch_size=250)
    assert "4/4" in sys.stderr.getvalue() and "epoch 1/2:" not in sys.stderr.getvalue()


# --- what learns along belongs to one model -----------------------------------------------------------


LEARNING = [
    ("optimizer", lambda: tv.Adam(1e-2)),
    ("optimizer", lambda: tv.SGD(1e-2, 0.9)),
    ("estimator", lambda: tv.estimators.make("moving_average")),
    ("estimator", lambda: tv.estimators.make("relax")),
]


@pytest.mark.parametrize("name, new", LEARNING)
def test_what_has_learnt_with_another_model_is_refused(name, new, digits, tmp_path):
    learner, options = new(), dict(epochs=1, batch_size=100)
    fresh = make(), make()
    tv.fit(fresh[0], digits, **{name: new()}, **options)
    one, two = make(), make()
    tv.train(two, digits, **{name: learner})  # never started
    tv.fit(one, digits, **{name: learner}, **options)
    for call in (tv.train, tv.fit):
        with pytest.raises(ValueError, match=f"{name} .* has learnt with another model, .* make a new one"):
            call(two, digits, **{name: learner}, **options)
    np.testing.assert_array_equal(two.theta, make().theta)
    tv.fit(one, digits, **{name: learner}, **options)  # the same model goes on
    tv.fit(make(), digits, **{name: copy.deepcopy(learner)}, **options)  # on purpose
    learner.restore({})
    tv.fit(two, digits, **{name: learner}, **options)
    np.testing.assert_array_equal(two.theta, fresh[0].theta)


@pytest.mark.parametrize("name, new", LEARNING)
def test_two_generators_do_not_share_what_learns(name, new, digits):
    learner, models = new(), (make(), make())
    first, second = (tv.train(vae, digits, **{name: learner}, batch_size=100) for vae in models)  # neither has begun
    next(first)
    next(first)
    with pytest.raises(ValueError, match=f"{name} .* has learnt with another model, .* make a new one"):
        next(second)
    np.testing.assert_array_equal(models[1].theta, make().theta)
    next(first)


def test_an_optimizer_that_cannot_be_copied_trains_the_model_that_it_trained(digits):
    adam = tv.Adam()
    adam.lock = threading.Lock()
    for vae in (one := make(), one):
        tv.fit(vae, digits, optimizer=adam, epochs=1, batch_size=250)
    with pytest.raises(ValueError, match="has learnt with another model"):
        tv.train(make(), digits, optimizer=adam)


def test_what_keeps_nothing_may_train_another_model(digits):
    class Still:
        def step(self, theta, grad):
            pass

    for optimizer in (tv.SGD(1e-3), Still()):
        for vae in (make(), make()):
            assert len(tv.fit(vae, digits, optimizer=optimizer, epochs=1).records) == 5


@pytest.mark.parametrize("new", [lambda: tv.SGD(1.0, 0.5), lambda: tv.Adam(1.0)], ids=["SGD", "Adam"])
def test_an_optimizer_takes_plain_vectors_only_and_a_refusal_leaves_no_trace(new):
    # The loops trust what they are given: a matrix was written past its end.
    for wrong in (np.ones((2, 50)), np.ones(4, int), np.ones(4, "float16"), np.ma.array(np.ones(4), mask=True), [1.0]):
        optimizer = new()
        before = np.array(wrong, copy=True)
        with pytest.raises((TypeError, ValueError, AttributeError)):
            optimizer.step(wrong, np.ones_like(before))
        np.testing.assert_array_equal(np.asarray(wrong), before)
    optimizer, theta = new(), np.ones(3)
    with pytest.raises(ValueError, match="grad must fit theta"):
        optimizer.step(np.ones(4), np.ones(3))
    optimizer.step(theta, np.ones(3))
    kept = optimizer.state()
    copies = {name: array.copy() for name, array in kept.items()}
    optimizer.step(theta, 5 * np.ones(3))
    for name, array in kept.items():
        np.testing.assert_array_equal(array, copies[name])  # what was handed out is no live array


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_loss_and_grads_says_that_an_estimators_loss_is_not_finite(value, digits):
    vae, x = make(), digits[:5]

    def wrong(q, target, eps, objective, rng):
        draws = tv.estimators.reparameterization(q, target, eps, objective)
        return draws._replace(f=draws.f * value)

    with pytest.raises(tv.NonFiniteLoss, match="the loss became"):
        vae.loss_and_grads(x, vae.noise(np.random.default_rng(0), 1, 5), wrong)


@pytest.mark.parametrize("name, new", LEARNING)
def test_a_checkpoint_gives_what_learns_back_its_own_state(name, new, digits, tmp_path):
    options = dict(batch_size=100, checkpoint=tmp_path / "run.npz")
    learner, whole = new(), make()
    tv.fit(make(), digits, epochs=1, **{name: new()}, **options)
    tv.fit(make(), digits, epochs=1, **{name: learner}, batch_size=100)
    again = make()
    tv.fit(again, digits, epochs=2, **{name: learner}, **options)
    tv.fit(whole, digits, epochs=2, **{name: new()}, batch_size=100)
    np.testing.assert_array_equal(again.theta, whole.theta)
